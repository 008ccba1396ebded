"""The coin whose cost hardly depends on its side."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest
import torch
from scipy import stats
from torch import Tensor
from torch.distributions import Bernoulli

from drawgrad.estimators import DisArm, Estimator, Exact, Rebar, Reinforce
from drawgrad.studies.exhibits.coin import Coin, Contestant, contestants, linear, quadratic, train_coin
from tests.statistics import ALPHA, assert_mean

RUNS = 40


def assert_mean_above(values: Tensor, bound: float) -> None:
    error = values.std().item() / math.sqrt(len(values))
    assert values.mean().item() - bound > stats.t.isf(ALPHA, len(values) - 1) * error


class TestTraining:
    """After 1500 of the published steps at t = 0.499."""

    BOUND = 0.1

    def progress(self, name: str) -> Tensor:
        return train_coin(contestants((1, RUNS))[name], (0.499,), steps=1500, runs=RUNS)[0.499].progress.after(1500)

    def test_with_relax_is_under_way(self) -> None:
        assert_mean_above(self.progress("RELAX"), self.BOUND)

    @pytest.mark.parametrize("name", ["DisARM", "REBAR, linear cost"])
    def test_without_the_noise_of_the_constant_is_nearly_done(self, name: str) -> None:
        assert_mean_above(self.progress(name), 0.85)

    @pytest.mark.parametrize("name", ["REINFORCE", "REBAR"])
    def test_with_the_noise_of_the_constant_is_not(self, name: str) -> None:
        with pytest.raises(AssertionError):
            assert_mean_above(self.progress(name), self.BOUND)


def test_the_curves_are_exact() -> None:
    found = train_coin(Contestant(Exact()), (0.45, 0.6), steps=25, runs=2, every=10)
    low, high = found[0.45], found[0.6]
    assert low.probability.steps.tolist() == [0, 10, 20, 25]
    assert low.probability.values.shape == (4, 2)
    torch.testing.assert_close(low.cost[0], torch.full((2,), 0.2525))
    assert low.optimum == pytest.approx(0.2025)
    torch.testing.assert_close(low.progress.values, (0.2525 - low.cost) / 0.05, atol=1e-5, rtol=0)
    assert torch.equal(low.progress.after(20), low.progress.values[2])
    # The dearer side is that of the ones for t < 1/2, of the zeros for t > 1/2.
    assert bool((low.probability.values[-1] < 0.5).all() and (high.probability.values[-1] > 0.5).all())
    # Adam's first step is of size lr, whatever the gradient.
    first = train_coin(Contestant(Exact()), (0.45,), steps=1, runs=2, every=1)[0.45].probability.values[1]
    torch.testing.assert_close(first, torch.sigmoid(torch.tensor([-0.01, -0.01])))


def test_both_ways_to_write_the_cost_agree_at_the_sides() -> None:
    sides, t = torch.tensor([0.0, 1.0]), torch.tensor(0.499)
    torch.testing.assert_close(linear(sides, t), quadratic(sides, t))
    half = torch.tensor(0.5)
    assert linear(half, t) > 0.24 > 0.01 > quadratic(half, t)


@pytest.mark.parametrize("name", ["REINFORCE", "DisARM", "REBAR"])
def test_runs_do_not_depend_on_each_other(name: str) -> None:
    few, many = (
        train_coin(contestants((1, n))[name], (0.499,), steps=50, runs=n)[0.499].probability.values for n in (2, 5)
    )
    torch.testing.assert_close(few, many[:, :2])
    assert len(many[-1].unique()) > 1


def test_networks_of_coins_do_not_depend_on_each_other() -> None:
    estimator = contestants((2, 2))["RELAX"].estimator
    assert isinstance(estimator, torch.nn.Module)
    with torch.no_grad():
        for parameter in estimator.parameters():
            parameter.add_(0.1)  # What scales the output begins as zero.
    q = Bernoulli(logits=torch.zeros(2, 2, requires_grad=True))
    loss = estimator(lambda b: (b - 0.3) ** 2, q, seed=0)
    for parameter in estimator.parameters():
        if parameter.requires_grad:
            (found,) = torch.autograd.grad(loss[0, 1], parameter, retain_graph=True)
            seen = found.flatten(2).abs().sum(-1) if found.dim() > 2 else found.abs()
            # A constant added to the control variate cancels in no estimate of one sample: every weight is seen.
            assert (seen != 0).tolist() == [[False, True], [False, False]]


class TestWhyRebarCannotHelp:
    """A control variate takes away what its value at the threshold is worth, and REBAR's is next to nothing there."""

    DRAWS = 200_000

    def gradients(self, estimator: Estimator, cost_at_threshold: float, logit: float) -> Tensor:
        """Gradients for a cost of 1 at both sides, and of another value between them."""
        logits = torch.full((self.DRAWS,), logit, dtype=torch.float64, requires_grad=True)
        bump = 1 - cost_at_threshold
        loss = estimator(lambda b: 1 - bump * 4 * b * (1 - b), Bernoulli(logits=logits), seed=1)
        return torch.autograd.grad(loss.sum(), logits)[0]

    @pytest.mark.parametrize("logit", [0.0, -1.5])
    @pytest.mark.parametrize("at_threshold", [0.0, 0.6, 1.0])
    @pytest.mark.parametrize("tau", [0.3, 1.0])
    def test_the_mean_given_the_side_is_that_of_the_value_at_the_threshold(
        self, logit: float, at_threshold: float, tau: float
    ) -> None:
        plain = self.gradients(Reinforce(), at_threshold, logit)
        difference = plain - self.gradients(Rebar(tau=tau), at_threshold, logit)
        p = 1 / (1 + math.exp(-logit))
        for side, probability, sign in ((plain > 0, p, 1), (plain < 0, 1 - p, -1)):
            # Density of the noisy logit at zero: p (1 - p).
            expected = sign * at_threshold * p * (1 - p) / probability
            assert_mean(difference[side], expected, resolution=0.05)

    def test_a_constant_cost_is_taken_away_whole(self) -> None:
        assert self.gradients(Rebar(), 1.0, 0.3).abs().max() < 1e-12
        assert self.gradients(Reinforce(), 1.0, 0.3).abs().min() > 0.1

    def test_on_the_coin_no_weight_and_no_temperature_lower_the_variance(self) -> None:
        def variance(estimator: Estimator) -> float:
            logits = torch.zeros(self.DRAWS, dtype=torch.float64, requires_grad=True)
            loss = estimator(lambda b: (b - 0.499) ** 2, Bernoulli(logits=logits), seed=1)
            return torch.autograd.grad(loss.sum(), logits)[0].var().item()

        plain = variance(Reinforce())
        for tau in (0.1, 0.5, 2.0):
            assert variance(Rebar(tau=tau)) > 1.01 * plain
            for eta in (-0.1, 0.1):
                # The best of them, by numerical integration, has less variance by 1 part in 10^9.
                assert variance(Rebar(tau=tau, eta=eta)) > 0.999 * plain
        assert variance(DisArm()) < 1e-6 * plain


def test_the_page_has_a_row_for_each_estimator(tmp_path: Path) -> None:
    told: list[str] = []
    recipe = Coin(runs=2, steps=3, targets=(0.45, 0.499))
    result = recipe.run(0, tmp_path, told.append)
    page = recipe.page(json.loads(json.dumps(result)))
    assert [row[0] for row in page.rows] == told == list(contestants((2, 2)))
    assert {len(row) for row in page.rows} == {len(page.headings)} == {3}
    assert result["progress"]["RELAX"]["0.499"]["steps"] == [0, 3]


def test_one_run_has_no_error() -> None:
    with pytest.raises(ValueError, match="runs must be at least 2"):
        Coin(runs=1)
