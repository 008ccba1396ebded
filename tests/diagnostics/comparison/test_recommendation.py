"""Recommendations: what is on the list, how it is ranked, and the sentence that says why."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor
from torch.distributions import Bernoulli, Distribution, Normal, OneHotCategorical

from drawgrad.diagnostics import Recommendation, candidates, recommend
from drawgrad.distributions import KSubset, PlackettLuce
from drawgrad.estimators import (
    ESTIMATORS,
    Cage,
    Darn,
    Estimator,
    Exact,
    GappedStraightThrough,
    GumbelSoftmax,
    LeaveOneOut,
    Reinforce,
    ReinMax,
    Rodeo,
    SlopeAnnealedStraightThrough,
    StraightThrough,
    Vimco,
)

LOGITS = torch.tensor([[0.5, -0.2, 0.1], [0.0, 1.0, -1.0]], dtype=torch.float64)
WEIGHTS = torch.tensor([[1.0, -2.0, 0.5], [0.3, 0.7, -0.4]], dtype=torch.float64)


def linear(z: Tensor) -> Tensor:
    return (z * WEIGHTS).sum((-1, -2))


def curved(z: Tensor) -> Tensor:
    return linear(z) + 3 * linear(z) ** 2


def recommended(cost: object = curved, **options: object) -> Recommendation:
    seeds = torch.Generator().manual_seed(1)
    return recommend(cost, OneHotCategorical(logits=LOGITS), generator=seeds, **options)


class TestCandidates:
    def test_are_all_that_fit(self) -> None:
        names = {type(found).__name__ for found in candidates(linear, OneHotCategorical(logits=LOGITS))}
        of_subsets = {"Aimle", "PerturbAndMap", "STGumbelTopK", "Simple"}
        assert names == set(ESTIMATORS) - {"Arm", "DisArm", "Pathwise", "Vimco"} - of_subsets
        found = {type(each).__name__ for each in candidates(lambda z: z[..., 0] - z[..., 1] ** 2, KSubset(LOGITS, 2))}
        assert {"LeaveOneOut", "UnorderedSet"} | of_subsets <= found

    def test_of_rankings_need_values_only(self) -> None:
        found = {type(each).__name__ for each in candidates(lambda z: z[..., 0].float(), PlackettLuce(LOGITS, 2))}
        assert found == {"Exact", "IndeCateR", "LeaveOneOut", "RaoBlackwellScore", "Reinforce", "UnorderedSet"}

    def test_have_each_temperature(self) -> None:
        found = candidates(linear, OneHotCategorical(logits=LOGITS), temperatures=(0.2, 0.7))
        assert [x.tau for x in found if isinstance(x, GumbelSoftmax)] == [0.2, 0.7]
        assert len([x for x in found if isinstance(x, StraightThrough)]) == 1

    def test_of_a_cost_without_a_gradient_need_none(self) -> None:
        weight = torch.ones((), requires_grad=True)
        for cost in (lambda z: linear(z.detach()), lambda z: linear(z.detach()) * weight):
            found = candidates(cost, OneHotCategorical(logits=LOGITS))
            assert found
            assert not any(x.needs_cost_gradient for x in found)

    def test_of_a_continuous_distribution(self) -> None:
        found = {type(x).__name__ for x in candidates(lambda z: z**2, Normal(torch.zeros(3), 1.0))}
        assert found == {"LeaveOneOut", "Pathwise", "Reinforce"}

    def test_of_too_many_states_do_not_enumerate(self) -> None:
        found = candidates(lambda z: z.sum(-1), Bernoulli(logits=torch.zeros(30)))
        assert not any(isinstance(x, Exact) for x in found)
        # It draws nothing either, but does not enumerate.
        assert any(isinstance(x, Cage) for x in found)

    def test_of_many_samples_take_no_more_than_there_is_memory_for(self) -> None:
        found = candidates(linear, OneHotCategorical(logits=LOGITS), samples=5000)
        samples = {type(each).__name__: each.samples for each in found if isinstance(each, LeaveOneOut | Rodeo)}
        # Its network sees each pair of samples, for all seven neighbors of each.
        assert samples == {"LeaveOneOut": 5000, "Rodeo": 19}
        assert Rodeo(samples=19).memory(6) <= 2**18 < Rodeo(samples=20).memory(6)
        # Where each of 100 rows has a cost of its own, there are as many networks' worth.
        rows = OneHotCategorical(logits=torch.zeros(100, 6))
        (few,) = [
            each.samples for each in candidates(lambda z: z[..., 0], rows, samples=5000) if isinstance(each, Rodeo)
        ]
        assert few == 2

    def test_leave_the_default_generator_alone(self) -> None:
        before = torch.get_rng_state()
        candidates(linear, OneHotCategorical(logits=LOGITS))
        assert torch.equal(before, torch.get_rng_state())


class TestRanking:
    @pytest.mark.parametrize("family", [KSubset, PlackettLuce])
    def test_of_subsets_and_rankings(self, family: type[Distribution]) -> None:
        q = family(torch.tensor([0.3, -0.4, 0.8, 0.1], dtype=torch.float64), 2)

        def cost(z: Tensor) -> Tensor:
            return (z.double() @ torch.linspace(-1, 1, z.shape[-1], dtype=torch.float64)) ** 2 + 1

        found = recommend(cost, q, evaluations=4, draws=300, generator=torch.Generator().manual_seed(1))
        names = [place.quality.name for place in found.ranking]
        assert names.index("LeaveOneOut(samples=4)") < names.index("Reinforce")
        for place in found.ranking:
            # Who claims no bias shows none, though few draws may not suffice to say so.
            assert place.quality.verdict != "biased" or not place.estimator.unbiased
        assert ("Simple" in names) == (family is KSubset)

    def test_is_by_squared_bias_and_shared_variance(self) -> None:
        found = recommended(estimators=[StraightThrough(), ReinMax(), LeaveOneOut(samples=4)], evaluations=8, draws=400)
        for place in found.ranking:
            quality, count = place.quality, 8 // place.quality.evaluations
            assert (place.gradients, place.left) == (count, 8 - count * quality.evaluations)
            expected = max(quality.bias_squared.value, 0) + quality.variance.value / count
            assert place.mean_squared_error.value == pytest.approx(expected)
        errors = [place.mean_squared_error.value for place in found.ranking]
        assert errors == sorted(errors)
        assert found.best is found.ranking[0].estimator

    def test_depends_on_the_budget(self) -> None:
        pair: list[Estimator] = [StraightThrough(), Reinforce()]
        few = recommended(estimators=pair, evaluations=1, draws=4000)
        many = recommended(estimators=pair, evaluations=10_000, draws=4000)
        assert isinstance(few.best, StraightThrough)
        assert isinstance(many.best, Reinforce)
        assert many.reason.startswith("Reinforce has the smallest mean squared error at 10000 evaluations: ")
        assert f" of {many.ranking[1].quality.name}" in many.reason
        assert many.ranking[1].bias_share > 0.99
        assert few.ranking[1].bias_share < 0.01

    def test_of_everything_prefers_what_is_exact(self) -> None:
        found = recommended(estimators=[ReinMax(), Exact(), Reinforce()], draws=50)  # 9 states, 10 evaluations
        assert isinstance(found.best, Exact)
        assert found.ranking[0].mean_squared_error.value == 0

    def test_of_all_candidates(self) -> None:
        found = recommended(linear, evaluations=6, draws=50)
        names = [place.quality.name for place in found.ranking]
        assert names[0] == "StraightThrough"  # exact for a linear cost
        assert "LeaveOneOut(samples=6)" in names  # as many as the budget pays for
        assert "Exact" not in names

    def test_leaves_out_what_the_budget_does_not_pay_for(self) -> None:
        found = recommended(estimators=[ReinMax(), LeaveOneOut(samples=4)], evaluations=3, draws=50)
        assert [place.quality.name for place in found.ranking] == ["ReinMax(tau=1)"]
        assert found.reason.startswith("ReinMax(tau=1) is the only estimator that 3 evaluations pay for")

    def test_that_cannot_be_told_apart_says_so(self) -> None:
        found = recommended(estimators=[SlopeAnnealedStraightThrough(), StraightThrough()], draws=50)
        assert isinstance(found.best, StraightThrough)
        assert ", which the measurement does not tell apart" in found.reason

    def test_puts_what_is_not_finite_last(self) -> None:
        def cost(z: Tensor) -> Tensor:
            inside = (z.max(-1).values < 0.999).any(-1)  # between the corners of the simplex
            return linear(z) * torch.where(inside, torch.nan, 1.0)

        found = recommended(cost, estimators=[GumbelSoftmax(), Darn()], draws=50)
        assert [place.quality.name for place in found.ranking] == ["Darn", "GumbelSoftmax(tau=1)"]
        assert math.isnan(found.ranking[1].mean_squared_error.value)

    def test_that_is_no_better_than_zero_says_so(self) -> None:
        pair: list[Estimator] = [Reinforce(), LeaveOneOut()]
        few = recommended(lambda z: 10 + linear(z), estimators=pair, evaluations=2, draws=400)
        assert few.reason.endswith("so the budget is too small.")
        assert f"a gradient of zero has less, {few.report.reference_norm.value**2:.3g}" in few.reason
        many = recommended(lambda z: 10 + linear(z), estimators=pair, evaluations=1000, draws=400)
        assert "gradient of zero" not in many.reason

    def test_that_is_hardly_better_than_zero_says_so(self) -> None:
        # At a low temperature its gradients vanish, and what is left of them is a bias as long as the exact gradient.
        vanishing = GappedStraightThrough(tau=0.1)
        found = recommended(estimators=[vanishing, Reinforce()], evaluations=1)
        assert found.best is vanishing
        zero = found.report.reference_norm.value**2
        assert 0.95 * zero < found.ranking[0].mean_squared_error.value < zero
        assert found.reason.endswith(
            f"; but a gradient of zero has hardly more, {zero:.2f}, so the budget is too small."
        )
        assert "gradient of zero" not in recommended(estimators=[vanishing, Exact()]).reason

    def test_that_rests_on_too_few_draws_says_so(self) -> None:
        def found(lead: float) -> Recommendation:
            q = OneHotCategorical(logits=torch.tensor([lead, 0.0, -1.0]))
            seeds = torch.Generator().manual_seed(0)
            pair = [LeaveOneOut(), Reinforce()]
            return recommend(lambda z: (z[..., 0] - 0.3) ** 2 + z[..., 1], q, estimators=pair, generator=seeds)

        assert found(9.0).ranking[0].quality.variance.value == 0
        assert "rare gradients may not have been drawn" in found(9.0).reason
        assert "rare gradients" not in found(0.5).reason

    def test_by_time(self) -> None:
        found = recommended(estimators=[ReinMax(), StraightThrough()], seconds=10.0, draws=50)
        assert found.unit == "seconds"
        first = found.ranking[0]
        assert first.gradients == math.floor(10 / first.quality.seconds)
        assert 0 <= first.left < first.quality.seconds
        assert "at 10.0 s" in found.reason

    def test_averages_whole_gradients_only(self) -> None:
        # Ten evaluations buy one gradient of six, not 1.67; four are left.
        found = recommended(estimators=[LeaveOneOut(samples=6), Reinforce()], evaluations=10, draws=400)
        (six,) = [place for place in found.ranking if place.quality.evaluations == 6]
        assert (six.gradients, six.left) == (1, 4)
        quality = six.quality
        assert six.mean_squared_error.value == quality.variance.value + max(quality.bias_squared.value, 0)
        line = next(line for line in str(found).splitlines() if line.startswith("LeaveOneOut"))
        assert line.split()[-2:] == ["1", "4"]

    def test_of_a_budget_that_a_fraction_would_decide_otherwise(self) -> None:
        # Fractions would favor 9 / 5 gradients of five samples; whole ones are two of four samples, or one of five.
        found = recommended(estimators=[LeaveOneOut(samples=4), LeaveOneOut(samples=5)], evaluations=9, draws=4000)
        by_name = {place.quality.name: place for place in found.ranking}
        four, five = by_name["LeaveOneOut(samples=4)"], by_name["LeaveOneOut(samples=5)"]
        assert (four.gradients, five.gradients, four.left, five.left) == (2, 1, 1, 4)
        assert found.best == four.estimator
        assert five.quality.variance.value * 5 / 9 < four.quality.variance.value * 4 / 9

    def test_renders(self) -> None:
        found = recommended(estimators=[ReinMax(), StraightThrough()], draws=50)
        lines = str(found).splitlines()
        assert len(lines) == lines.index(next(line for line in lines if line.startswith("---"))) + 4
        assert lines[-1] == found.reason


class TestMistakes:
    @pytest.mark.parametrize(
        ("options", "message"),
        [
            ({"evaluations": 1, "seconds": 1.0}, "evaluations and seconds must not both be given"),
            ({"evaluations": 0}, "evaluations must be positive and finite"),
            ({"seconds": math.inf}, "seconds must be positive and finite"),
            ({"evaluations": 1.5, "estimators": [LeaveOneOut()]}, "must pay for one gradient at least, but it is 1.5"),
        ],
    )
    def test_of_the_budget(self, options: dict[str, object], message: str) -> None:
        with pytest.raises(ValueError, match=message):
            recommended(draws=10, **options)

    @pytest.mark.parametrize("budget", ["10", True])
    def test_of_a_budget_that_is_no_number(self, budget: object) -> None:
        with pytest.raises(TypeError, match="evaluations must be a number, but it is"):
            recommended(evaluations=budget, draws=10)

    def test_of_another_objective(self) -> None:
        with pytest.raises(ValueError, match=r"but Vimco is of that of a multi-sample bound; leave it out"):
            recommended(estimators=[ReinMax(), Vimco()], draws=10)
