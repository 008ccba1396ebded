"""The statistical checks accept what is right, and reject what is wrong by the stated resolution."""

from __future__ import annotations

import pytest
import torch
from scipy import stats
from torch import Tensor

from tests.statistics import (
    Underpowered,
    assert_distribution,
    assert_frequencies,
    assert_mean,
    assert_uncorrelated,
    with_enough_draws,
)


def _draws(n: int, *shape: int) -> Tensor:
    return torch.randn(n, *shape, dtype=torch.float64)


def _counts(probabilities: list[float], n: int) -> Tensor:
    drawn = torch.multinomial(torch.tensor(probabilities), n, replacement=True)
    return torch.bincount(drawn, minlength=len(probabilities))


class TestMean:
    def test_accepts_the_mean(self) -> None:
        assert_mean(_draws(20_000, 3, 2) + 1.0, 1.0, resolution=0.1)

    def test_accepts_a_mean_without_entries(self) -> None:
        assert_mean(_draws(20_000), 0.0, resolution=0.1)

    def test_accepts_samples_that_do_not_vary(self) -> None:
        assert_mean(torch.full((1000, 2), 0.1), 0.1, resolution=1e-6)

    def test_rejects_one_entry_that_is_off_by_the_resolution(self) -> None:
        samples = _draws(20_000, 4)
        samples[:, 2] += 0.1
        with pytest.raises(AssertionError, match="the mean of entry 2"):
            assert_mean(samples, 0.0, resolution=0.1)

    def test_rejects_samples_that_do_not_vary_elsewhere(self) -> None:
        with pytest.raises(AssertionError, match="off by"):
            assert_mean(torch.zeros(1000, 2), 1e-3, resolution=1e-3)

    def test_rejects_nan(self) -> None:
        samples = _draws(1000)
        samples[3] = torch.nan
        with pytest.raises(AssertionError, match="not finite"):
            assert_mean(samples, 0.0, resolution=1.0)

    def test_says_how_many_samples_it_takes(self) -> None:
        with pytest.raises(Underpowered, match="draw about"):
            assert_mean(_draws(1000), 0.0, resolution=0.1)

    def test_refuses_a_handful_of_samples(self) -> None:
        with pytest.raises(Underpowered, match="too few"):
            assert_mean(_draws(99), 0.0, resolution=100.0)

    def test_false_alarms_and_misses_are_as_rare_as_stated(self) -> None:
        # With alpha = 0.05, 2000 checks alarm 100 times; six standard deviations around that are 41 and 159.
        alarms = misses = 0
        for _ in range(2000):
            samples = _draws(100)
            alarms += _fails(samples)
            misses += not _fails(samples + 0.431)
        assert 41 <= alarms <= 159
        # The deviation that 100 samples resolve, 1.98 + 2.33 standard errors, is missed 20 times, 47 at most.
        assert 1 <= misses <= 47


def _fails(samples: Tensor) -> bool:
    try:
        # The resolution leaves room for standard deviations that come out large.
        assert_mean(samples, 0.0, resolution=0.75, alpha=0.05)
    except Underpowered:
        raise
    except AssertionError:
        return True
    return False


class TestFrequencies:
    def test_accepts_the_probabilities(self) -> None:
        p = [0.5, 0.3, 0.15, 0.05]
        assert_frequencies(_counts(p, 50_000), torch.tensor(p), resolution=0.02)

    def test_accepts_many_rare_classes(self) -> None:
        p = [0.5] + [0.5 / 1000] * 1000
        assert_frequencies(_counts(p, 50_000), torch.tensor(p), resolution=0.05)

    def test_rejects_probabilities_that_are_off_by_the_resolution(self) -> None:
        counts = _counts([0.52, 0.28, 0.15, 0.05], 50_000)
        with pytest.raises(AssertionError, match="chi-square"):
            assert_frequencies(counts, torch.tensor([0.5, 0.3, 0.15, 0.05]), resolution=0.02)

    def test_rejects_the_wrong_row(self) -> None:
        p = [0.5, 0.3, 0.2]
        counts = torch.stack([_counts(p, 50_000), _counts(p[::-1], 50_000)])
        with pytest.raises(AssertionError, match="row 1"):
            assert_frequencies(counts, torch.tensor(p), resolution=0.03)

    def test_rejects_a_class_that_cannot_occur(self) -> None:
        with pytest.raises(AssertionError, match="class 1 has probability zero"):
            assert_frequencies(torch.tensor([49_999, 1, 50_000]), torch.tensor([0.5, 0.0, 0.5]), resolution=0.1)

    def test_refuses_too_few_draws(self) -> None:
        with pytest.raises(Underpowered, match="is missed with probability"):
            assert_frequencies(torch.tensor([500, 500]), torch.tensor([0.5, 0.5]), resolution=0.02)

    def test_refuses_to_compare_nothing(self) -> None:
        with pytest.raises(Underpowered, match="no two groups"):
            assert_frequencies(torch.tensor([5, 5]), torch.tensor([0.5, 0.5]), resolution=0.5)


class TestDistribution:
    def test_accepts_the_distribution(self) -> None:
        assert_distribution(_draws(20_000), stats.norm.cdf, resolution=0.05)

    def test_rejects_a_shift_by_the_resolution(self) -> None:
        # The densest point of the normal moves its distribution function by 0.4 times the shift.
        with pytest.raises(AssertionError, match="the distribution function is off"):
            assert_distribution(_draws(20_000) + 0.05 / 0.398, stats.norm.cdf, resolution=0.05)

    def test_rejects_a_scale(self) -> None:
        with pytest.raises(AssertionError, match="the distribution function is off"):
            assert_distribution(1.5 * _draws(20_000), stats.norm.cdf, resolution=0.05)

    def test_rejects_infinity(self) -> None:
        with pytest.raises(AssertionError, match="not finite"):
            assert_distribution(torch.tensor([torch.inf]), stats.norm.cdf, resolution=0.05)

    def test_refuses_too_few_draws(self) -> None:
        with pytest.raises(Underpowered, match="draw about"):
            assert_distribution(_draws(1000), stats.norm.cdf, resolution=0.01)


class TestEnoughDraws:
    def attempts(self, resolution: float, expected: float = 0.0) -> list[int]:
        taken = []

        def check(draws: int) -> None:
            taken.append(draws)
            assert_mean(_draws(draws, 1), expected, resolution=resolution)

        try:
            with_enough_draws(check, 64_000)
        except AssertionError as failure:
            taken.append(-1 if isinstance(failure, Underpowered) else 0)
        return taken

    def test_are_few_where_few_suffice(self) -> None:
        assert self.attempts(0.3) == [1000]

    def test_grow_until_they_suffice(self) -> None:
        assert self.attempts(0.12) == [1000, 4000]
        assert self.attempts(0.07) == [1000, 4000, 16_000]

    def test_may_be_too_few_to_the_end(self) -> None:
        assert self.attempts(0.01) == [1000, 4000, 16_000, 64_000, -1]

    def test_give_a_wrong_mean_no_second_chance(self) -> None:
        assert self.attempts(0.3, expected=1.0) == [1000, 0]


class TestUncorrelated:
    def test_accepts_independent_variables(self) -> None:
        draws = _draws(20_000, 6)
        assert_uncorrelated(draws, resolution=0.1)
        assert_uncorrelated(draws[:, :2], draws[:, 2:] + 3.0, resolution=0.1)

    def test_rejects_one_pair_that_is_correlated_by_the_resolution(self) -> None:
        draws = _draws(20_000, 6)
        draws[:, 4] += 0.1 * draws[:, 1]
        with pytest.raises(AssertionError, match="variables 1 and 4 are correlated"):
            assert_uncorrelated(draws, resolution=0.1)
        with pytest.raises(AssertionError, match="variables 1 and 2 are correlated"):
            assert_uncorrelated(draws[:, :2], draws[:, 2:], resolution=0.1)

    def test_says_how_many_draws_it_takes(self) -> None:
        with pytest.raises(Underpowered, match="draw about"):
            assert_uncorrelated(_draws(1000, 2), resolution=0.1)
