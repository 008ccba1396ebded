"""False alarms where outcomes are rare or draws few, and what is known of gradients that were not drawn."""

from __future__ import annotations

import pytest
import torch
from scipy import stats
from torch import Tensor
from torch.distributions import Bernoulli, Distribution, Independent, Normal, OneHotCategorical

from drawgrad.diagnostics import compare
from drawgrad.diagnostics.comparison.costs import Watched
from drawgrad.diagnostics.comparison.gradients import draw_gradients
from drawgrad.diagnostics.comparison.measurement import ALPHA as CLAIMED
from drawgrad.diagnostics.comparison.reach import HEADROOM, longest
from drawgrad.diagnostics.comparison.reference import make_reference
from drawgrad.diagnostics.comparison.statistics import Sample, measure_bias
from drawgrad.estimators import (
    CategoricalDisArm,
    Estimator,
    Exact,
    GappedStraightThrough,
    GumbelSoftmax,
    IndeCateR,
    LeaveOneOut,
    MuProp,
    Pathwise,
    Rebar,
    Reinforce,
    StraightThrough,
)
from tests.statistics import ALPHA

UNBIASED = (LeaveOneOut(), Reinforce(), MuProp(), CategoricalDisArm(), Rebar(tau=0.1))
BIASED = (StraightThrough(), GumbelSoftmax(tau=1.0))
REPETITIONS = {2: 80, 5: 80, 50: 80, 1000: 10}
"""For each number of draws: together 5 000 verdicts, so that an alarm in 300 is noticed."""


def cost(z: Tensor) -> Tensor:
    return (z[..., 0] - 0.3) ** 2 + z[..., 1]


def peaked(lead: float) -> Distribution:
    return OneHotCategorical(logits=torch.tensor([lead, 0.0, -1.0]))


def seeds(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def probabilities(estimator: Estimator, lead: float, draws: int, *, reach: bool = True) -> list[float]:
    """Of differences as large as those of repeated samples, if there is no bias."""
    q, watched = peaked(lead), Watched(cost)
    truth = make_reference(None, watched, q, draws, seeds(0), None)
    found = draw_gradients(estimator, cost, q, draws * REPETITIONS[draws], seeds(int(lead) + draws), 4)
    judged = []
    for number, part in enumerate(found.split(draws)):
        length = longest(part, estimator, watched, q, seeds(number), 4, None) if number < 2 else length
        length = max(length, HEADROOM * float(part.norm(dim=1).max()))
        sample = Sample(part, watched.rounding(part.dtype), length if reach else 0.0)
        judged.append(measure_bias(sample, truth.sample).probability)
    return judged


class TestFalseAlarms:
    def test_are_as_rare_as_stated(self) -> None:
        with_reach = without = verdicts = 0
        for lead in (0.0, 3.0, 7.0, 9.0):
            for draws in REPETITIONS:
                for estimator in UNBIASED:
                    found = probabilities(estimator, lead, draws)
                    verdicts += len(found)
                    with_reach += sum(value < CLAIMED for value in found)
                found = probabilities(LeaveOneOut(), lead, draws, reach=False)
                without += sum(value < CLAIMED for value in found)
        most = stats.binom.isf(ALPHA, verdicts, CLAIMED)
        assert stats.binom.cdf(most, verdicts, 1 / 300) < 0.01  # the resolution
        assert with_reach <= most
        # Negative control: one of the five, taken at the face value of its draws.
        assert without > most

    @pytest.mark.parametrize("estimator", BIASED, ids=repr)
    def test_are_not_avoided_by_never_giving_one(self, estimator: Estimator) -> None:
        assert max(probabilities(estimator, 1.0, 1000)) < CLAIMED

    @pytest.mark.parametrize("lead", [7.0, 9.0])
    def test_are_told_as_too_few_draws(self, lead: float) -> None:
        report = compare([LeaveOneOut(), Reinforce(), MuProp()], cost, peaked(lead), generator=seeds(0))
        assert {row.verdict for row in report.rows} == {"too few draws"}

    def test_need_no_variance(self) -> None:
        # Two draws of a constant cannot differ; that they are alike says nothing about a third.
        (row,) = compare([LeaveOneOut()], cost, peaked(9.0), draws=2, generator=seeds(0)).rows
        assert (row.variance.value, row.verdict) == (0, "too few draws")

    def test_of_a_class_that_is_rare_and_dear(self) -> None:
        # Its cost is known from the reference, although neither the draws nor those elsewhere are likely to have it.
        values = torch.ones(200) + torch.rand(200, generator=seeds(1))
        values[7] = 1000.0
        logits = torch.zeros(200)
        logits[0], logits[7] = 6.0, -2.0
        report = compare(
            [LeaveOneOut(), Reinforce()], lambda z: (z * values).sum(-1), OneHotCategorical(logits=logits),
            generator=seeds(0),
        )  # fmt: skip
        assert {row.verdict for row in report.rows} == {"too few draws"}


class TestLongest:
    def test_includes_outcomes_that_are_not_drawn(self) -> None:
        q, watched = peaked(9.0), Watched(cost)
        found = draw_gradients(Reinforce(), cost, q, 50, seeds(0), 1)
        assert float(found.norm(dim=1).max()) < 1e-3
        gradients = torch.stack([cost(z) * (z - q.probs) for z in torch.eye(3)])
        length = longest(found, Reinforce(), watched, q, seeds(1), 1, None)
        assert float(gradients.norm(dim=1).max()) <= length < 3 * float(gradients.norm(dim=1).max())

    def test_does_not_depend_on_at_once(self) -> None:
        q, watched = Independent(Bernoulli(logits=torch.tensor([8.0, -torch.inf])), 1), Watched(lambda z: z.sum(-1))
        found = draw_gradients(LeaveOneOut(), lambda z: z.sum(-1), q, 10, seeds(0), 2)
        lengths = [longest(found, LeaveOneOut(), watched, q, seeds(1), 2, size) for size in (None, 7)]
        assert lengths[0] == pytest.approx(lengths[1], rel=0.1)
        assert lengths[0] > 0.5

    def test_of_a_continuous_distribution_is_that_of_its_draws(self) -> None:
        found = torch.tensor([[3.0, 4.0], [torch.nan, 0.0]])
        watched = Watched(lambda z: z**2)
        assert longest(found, Pathwise(), watched, Normal(0.0, 1.0), seeds(0), 1, None) == HEADROOM * 5

    def test_of_an_exact_gradient_is_not_needed(self) -> None:
        assert longest(torch.ones(1, 3), Exact(), Watched(cost), peaked(0.0), seeds(0), 3, None) == 0


class TestRounding:
    @pytest.mark.parametrize("offset", [1e2, 1e3, 1e4])
    def test_of_large_costs_is_no_bias(self, offset: float) -> None:
        values, q = torch.tensor([0.3, -0.7, 0.9]), Bernoulli(logits=torch.tensor([0.2, -0.5, 1.0]))
        listed = [StraightThrough(), MuProp(), IndeCateR(), LeaveOneOut()]
        report = compare(listed, lambda z: (z * values).sum(-1) + offset, q, generator=seeds(0))
        assert "biased" not in {row.verdict for row in report.rows}
        # The offset is no part of the gradient, but for the digits that it takes from the costs.
        exact = float((values * q.probs * (1 - q.probs)).norm())
        assert report.reference_norm.value == pytest.approx(exact, abs=1e-7 * offset)

    def test_hides_no_bias(self) -> None:
        values = torch.tensor([0.3, -0.7, 0.9])
        report = compare(
            [StraightThrough()], lambda z: (z * values).sum(-1) ** 2 + 1e2, Bernoulli(logits=torch.ones(3)),
            draws=4000, generator=seeds(0),
        )  # fmt: skip
        assert report.rows[0].verdict == "biased"

    def test_of_a_constant_cost_is_nothing(self) -> None:
        report = compare([LeaveOneOut()], lambda z: 3 + 0 * z.sum(-1), Bernoulli(logits=torch.randn(3)), draws=100)
        assert report.reference_norm.value == 0
        assert report.rows[0].bias.value == 0

    @pytest.mark.parametrize(
        ("dtype", "offset"), [(torch.bfloat16, 0.0), (torch.float16, 1e3), (torch.float32, 1e7)], ids=str
    )
    def test_that_hides_what_had_to_be_noticed_is_no_verdict(self, dtype: torch.dtype, offset: float) -> None:
        # Straight-through is off by 17 % here, which rounding alone may be too.
        values = torch.tensor([0.3, -0.7, 0.9], dtype=dtype)
        q = Bernoulli(logits=torch.tensor([0.2, -0.5, 1.0], dtype=dtype))
        report = compare(
            [StraightThrough(), LeaveOneOut()], lambda z: (z * values).sum(-1).square() + offset, q, generator=seeds(0)
        )
        assert {row.verdict for row in report.rows} == {"too coarse"}
        for row in report.rows:
            assert row.bias_limit > 0.1 * report.reference_norm.value
        assert "too coarse (< " in report.text()
        assert "Too coarse: rounding alone may be more" in report.note()


class TestUnseen:
    def test_outcomes_that_carry_the_bias_are_in_the_limit(self) -> None:
        """An outcome of probability 1e-4 is in none of 1000 draws, nine times of ten; its gradient is the bias."""
        q = Bernoulli(logits=torch.tensor([-9.2], dtype=torch.float64))
        estimator = GappedStraightThrough()
        found = draw_gradients(estimator, lambda z: z.squeeze(-1), q, 400_000, seeds(0), 1)
        bias = float((found.mean(0) - q.probs * (1 - q.probs)).norm())
        for seed in range(10):
            (row,) = compare([estimator], lambda z: z.squeeze(-1), q, generator=seeds(seed)).rows
            assert row.verdict == "too few draws"
            assert row.bias_limit > bias
