"""The inversion that gives the limit of a bias: against scipy's noncentral chi-square, and against repetitions."""

from __future__ import annotations

import itertools
import math

import pytest
import torch
from scipy import optimize, stats

from drawgrad.diagnostics.comparison.limits import CONFIDENCE, largest_bias, unseen_share
from drawgrad.diagnostics.comparison.statistics import Sample, bias_limit
from tests.statistics import ALPHA

MISSED = 1 - CONFIDENCE


def noncentral(squared: float, freedom: int) -> float:
    """The limit where all axes are alike, by scipy."""
    return float(
        optimize.brentq(lambda length: stats.ncx2.cdf(squared, freedom, length**2) - MISSED, 1e-9, squared + 10)
    )


class TestLargestBias:
    @pytest.mark.parametrize("freedom", [1, 2, 3, 10, 100, 5000])
    @pytest.mark.parametrize("above", [-0.5, 0.0, 2.0, 20.0])
    def test_is_that_of_the_noncentral_chi_square(self, freedom: int, above: float) -> None:
        squared = freedom + above * math.sqrt(2 * freedom) * (0.5 if above < 0 else 1.0)
        found = largest_bias(squared, freedom, freedom, 1.0)
        assert found == pytest.approx(noncentral(squared, freedom), rel=1e-3)

    def test_far_out_is_that_of_a_normal(self) -> None:
        freedom = 10**6
        for above in (0.0, 3.0):
            squared = freedom + above * math.sqrt(2 * freedom)
            # (squared - freedom - b²) / sqrt(2 freedom + 4 b²) = -2.33
            b = largest_bias(squared, freedom, freedom, 1.0)
            assert (squared - freedom - b**2) / math.sqrt(2 * freedom + 4 * b**2) == pytest.approx(
                stats.norm.ppf(MISSED), rel=1e-3
            )

    def test_goes_along_the_largest_axis(self) -> None:
        generator = torch.Generator().manual_seed(0)
        scale = torch.tensor([1.0, *[0.1] * 100], dtype=torch.float64)
        variances = scale.square()
        squared = 2.5
        b = largest_bias(squared, float(variances.sum()), float(variances.square().sum()), 1.0)
        x = scale * torch.randn(200_000, 101, generator=generator, dtype=torch.float64)
        x[:, 0] += b
        share = float((x.square().sum(1) <= squared).double().mean())
        assert abs(share - MISSED) < 5 * math.sqrt(MISSED / 200_000)

    def test_without_noise_is_the_difference_itself(self) -> None:
        assert largest_bias(4.0, 0.0, 0.0, 0.0) == 2

    def test_noise_below_the_rounding_of_the_difference_is_none(self) -> None:
        # Gradients that differ by rounding alone: the covariance is not exactly zero.
        assert (
            largest_bias(0.22439401596581027, 3.538957686393956e-35, 1.2524221506086861e-69, 0.0)
            == 0.22439401596581027**0.5
        )

    def test_is_zero_where_so_small_a_difference_is_a_chance_anyway(self) -> None:
        assert largest_bias(40.0, 100.0, 100.0, 1.0) == pytest.approx(0, abs=1e-5)

    def test_of_what_is_not_finite_is_unknown(self) -> None:
        assert math.isnan(largest_bias(math.nan, 1.0, 1.0, 1.0))


class TestUnseenShare:
    @pytest.mark.parametrize("draws", [10, 1000, 10**6])
    def test_is_seen_at_the_confidence(self, draws: int) -> None:
        assert (1 - unseen_share(draws)) ** draws <= MISSED
        assert (1 - 0.8 * unseen_share(draws)) ** draws > MISSED

    def test_of_few_draws_is_all(self) -> None:
        assert unseen_share(2) == 1


class TestCoverage:
    """Truths beyond the limit, of problems whose bias is known. The limit is on the safe side, so that few are."""

    @pytest.mark.parametrize("draws", [20, 300])
    def test_holds(self, draws: int) -> None:
        repetitions, exact = 100, Sample(torch.zeros(1, 3, dtype=torch.float64))
        scale = torch.tensor([1.0, 0.5, 0.1], dtype=torch.float64)
        generator, length = torch.Generator().manual_seed(draws), 10.0
        missed = blind = verdicts = 0
        for bias, rare in itertools.product((0.0, 0.1, 0.5), (0.0, 1e-3, 5e-3)):
            x = bias + scale * torch.randn(repetitions, draws, 3, generator=generator, dtype=torch.float64)
            # A rare outcome, whose gradient is long.
            x[..., 0] += length * (torch.rand(repetitions, draws, generator=generator) < rare)
            truth = math.hypot(bias + length * rare, bias, bias)
            for part in x:
                sample = Sample(part, reach=length)
                verdicts += 1
                missed += truth > bias_limit(sample, exact)
                # Negative control: what the bias seems to be, as if nothing were missed.
                blind += truth > float(sample.mean.norm())
        allowed = stats.binom.isf(ALPHA, verdicts, MISSED)
        assert stats.binom.cdf(allowed, verdicts, 0.06) < 0.01  # the resolution
        assert missed <= allowed < blind
