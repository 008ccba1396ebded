"""Comparisons of estimators: verdicts, moments against an oracle, and what they leave untouched."""

from __future__ import annotations

import itertools
import math
import re
from typing import Any

import pytest
import torch
from scipy import stats
from torch import Tensor
from torch.distributions import (
    Bernoulli,
    Categorical,
    Distribution,
    Gamma,
    Independent,
    MultivariateNormal,
    Normal,
    OneHotCategorical,
)

from drawgrad.diagnostics import Report, compare
from drawgrad.diagnostics.comparison.gradients import draw_gradients, measure_effort
from drawgrad.distributions import KSubset, PlackettLuce, RelaxedOneHotCategorical
from drawgrad.estimators import (
    ESTIMATORS,
    Estimator,
    Exact,
    GumbelSoftmax,
    LeaveOneOut,
    MovingAverage,
    Pathwise,
    Reinforce,
    ReinMax,
    Relax,
    Rodeo,
    STGumbelSoftmax,
    StraightThrough,
    Vimco,
)
from tests.diagnostics.comparison.compared import BINARY, CATEGORICAL, compared
from tests.estimators.problems import Problem
from tests.estimators.scores import PlainScore, WrongScore
from tests.statistics import ALPHA

PROBLEMS = (BINARY, CATEGORICAL)


class TestVerdict:
    @pytest.mark.parametrize("name", ESTIMATORS)
    def test_of_every_estimator_is_what_it_claims(self, name: str) -> None:
        estimator = ESTIMATORS[name]()
        taken = [
            problem
            for problem in (CATEGORICAL, BINARY)
            if estimator.obstacle(problem.distribution(problem.logits)) is None
        ]
        if not taken:
            obstacle = estimator.obstacle(BINARY.distribution(BINARY.logits))
            assert obstacle is not None
            with pytest.raises(TypeError, match=re.escape(obstacle)):
                compared(BINARY, estimator)
            return
        problem = taken[0]
        (row,) = compared(problem, ESTIMATORS[name](), draws=20_000, resolution=0.2).rows
        assert row.claims_unbiased == ESTIMATORS[name].unbiased
        if row.name == "Vimco":
            assert row.verdict == "other objective"
            assert math.isnan(row.mean_squared_error.value)
            assert row.variance.value > 0
        else:
            assert row.verdict == ("none seen" if row.claims_unbiased else "biased")

    def test_of_a_bound_needs_the_gradient_of_the_bound(self) -> None:
        problem, logits = BINARY, BINARY.logits.detach().clone().requires_grad_()
        states = torch.tensor(list(itertools.product((0.0, 1.0), repeat=3)), dtype=logits.dtype)
        costs = problem.cost(states.reshape(-1, *logits.shape), problem.parameters).flatten()
        log_prob = problem.distribution(logits).log_prob(states.reshape(-1, *logits.shape)).flatten(1).sum(1)
        bound = math.log(2) - torch.logaddexp(-costs[:, None], -costs)  # of two samples
        exact = ((log_prob[:, None] + log_prob).exp() * bound).sum()
        (gradient,) = torch.autograd.grad(exact, logits)
        for reference, verdict in ((gradient, "none seen"), (2 * gradient, "biased")):
            (row,) = compared(problem, Vimco(samples=2), draws=20_000, resolution=0.2, reference=reference).rows
            assert row.verdict == verdict
            assert math.isfinite(row.mean_squared_error.value)

    def test_of_an_estimator_that_lies(self) -> None:
        honest, liar = compared(CATEGORICAL, PlainScore(), WrongScore(), draws=20_000, resolution=0.2).rows
        assert (honest.verdict, liar.verdict) == ("none seen", "biased")
        exact = CATEGORICAL.exact().logits.norm()
        assert abs(liar.bias.value - 0.25 * exact) < 5 * liar.bias.error < 0.1 * exact

    def test_of_too_few_draws(self) -> None:
        (row,) = compared(CATEGORICAL, Reinforce(), draws=30).rows
        assert row.verdict == "too few draws"
        assert row.bias_limit > 0.1 * CATEGORICAL.exact().logits.norm()

    def test_of_a_cost_that_is_not_finite(self) -> None:
        q = Bernoulli(logits=torch.zeros(2))
        report = compare([Reinforce()], lambda z: z.sum(-1).log(), q, draws=50)
        assert report.rows[0].verdict == "not finite"
        assert math.isnan(report.rows[0].signal_to_noise)


class TestMoments:
    @pytest.mark.parametrize("problem", PROBLEMS, ids=lambda problem: problem.name)
    @pytest.mark.parametrize("estimator", [StraightThrough(), ReinMax(), LeaveOneOut(samples=3)], ids=repr)
    def test_are_those_of_an_oracle(self, problem: Problem, estimator: Estimator) -> None:
        report = compared(problem, estimator)
        row, exact = report.rows[0], problem.exact().logits.flatten()
        assert report.reference_norm.value == pytest.approx(float(exact.norm()), rel=1e-9)
        assert report.reference_norm.error == 0
        assert report.reference == "the exact gradient, by enumeration"
        draws = problem.estimates(estimator, 60_000, seed=99).logits.flatten(1)
        mean = draws.mean(0)
        off = (draws - exact).square().sum(1)
        assert abs(row.variance.value - float((draws - mean).square().sum(1).mean())) < 5 * row.variance.error
        assert abs(row.mean_squared_error.value - float(off.mean())) < 5 * row.mean_squared_error.error
        cosines = torch.nn.functional.cosine_similarity(draws, exact[None])
        assert abs(row.cosine.value - float(cosines.mean())) < 5 * row.cosine.error
        squared = float((mean - exact).square().sum())
        assert abs(row.bias_squared.value - squared) < 5 * row.bias_squared.error + 1e-3 * float(exact.square().sum())

    def test_add_up(self) -> None:
        for row in compared(BINARY, STGumbelSoftmax(), LeaveOneOut()).rows:
            total = row.bias_squared.value + row.variance.value
            assert row.mean_squared_error.value == pytest.approx(total, rel=1e-9)

    def test_of_the_exact_gradient(self) -> None:
        (row,) = compared(BINARY, Exact()).rows
        assert (row.variance.value, row.draws, row.evaluations, row.verdict) == (0, 1, 8, "none seen")
        assert row.cosine.value == pytest.approx(1)
        assert row.signal_to_noise == float("inf")

    def test_of_a_gradient_that_is_always_zero(self) -> None:
        (row,) = compare([LeaveOneOut()], lambda z: 0 * z.sum(-1), Bernoulli(logits=torch.zeros(3)), draws=50).rows
        assert math.isnan(row.signal_to_noise)
        assert (row.bias.value, row.variance.value) == (0, 0)

    def test_what_an_estimator_holds_itself_counts_against_memory(self) -> None:
        q, seeds, seen = Bernoulli(logits=torch.zeros(3)), torch.Generator().manual_seed(0), []

        def cost(z: Tensor) -> Tensor:
            seen.append(len(z))
            return z.sum(-1)

        def most_at_once(estimator: Estimator) -> int:
            effort = measure_effort(estimator, cost, q, seeds)
            assert effort.evaluations == 20
            seen.clear()
            draw_gradients(estimator, cost, q, 40, seeds, effort.rows)
            return max(seen) // 20

        assert most_at_once(LeaveOneOut(samples=20)) == 40
        assert most_at_once(Rodeo(samples=20)) == 27  # networks of 100 units at 20 * 19 * 4 places

    @pytest.mark.parametrize("at_once", [1, 7])
    def test_draws_of_many_calls_are_independent_and_alike(self, at_once: int) -> None:
        parameters, q, draws = BINARY.parameters, BINARY.distribution(BINARY.logits), 2000

        def drawn(seed: int, size: int) -> Tensor:
            seeds = torch.Generator().manual_seed(seed)
            return draw_gradients(ReinMax(), lambda z: BINARY.cost(z, parameters), q, draws, seeds, 1, size)

        known = drawn(0, draws).unique(dim=0)
        assert len(known) == 8  # Each state of three bits has a gradient of its own.

        def states(gradients: Tensor) -> Tensor:
            return (gradients[:, None] - known).abs().sum(-1).argmin(1)

        def alike(one: Tensor, other: Tensor) -> float:
            table = torch.stack([one.bincount(minlength=8), other.bincount(minlength=8)])
            return float(stats.chi2_contingency(table.numpy()).pvalue)

        def independent(sequence: Tensor) -> float:
            table = (8 * sequence[:-1:2] + sequence[1::2]).bincount(minlength=64).reshape(8, 8)
            return float(stats.chi2_contingency(table.numpy()).pvalue)

        together, apart = states(drawn(1, draws)), states(drawn(2, at_once))
        assert alike(together, apart) > ALPHA
        assert independent(apart) > ALPHA
        # Negative controls: one call's draws over and over, and each draw twice.
        assert alike(together, apart[:7].repeat(300)) < ALPHA
        assert independent(apart.repeat_interleave(2)) < ALPHA

    def test_a_cost_for_one_number_of_samples_takes_draws_one_at_a_time(self) -> None:
        def cost(z: Tensor) -> Tensor:
            assert z.shape == (2, 3)
            return z.sum(-1)

        reference = torch.full((3,), 0.25)
        report = compare(
            [LeaveOneOut()], cost, Bernoulli(logits=torch.zeros(3)), draws=200, reference=reference, at_once=1
        )
        assert report.rows[0].evaluations == 2

    def test_a_cost_for_one_sample_gets_the_states_one_at_a_time(self) -> None:
        def cost(z: Tensor) -> Tensor:
            return (z.reshape(1, 3) * torch.arange(3.0)).sum(-1)

        q = Bernoulli(logits=torch.zeros(3))
        report = compare([Reinforce()], cost, q, draws=50, at_once=1)
        assert report.reference == "the exact gradient, by enumeration"
        assert report.reference_norm.value == pytest.approx(5**0.5 / 4)
        with pytest.raises(RuntimeError):
            compare([Reinforce()], cost, q, draws=50)

    @pytest.mark.parametrize("name", ["Arsm", "Exact", "IndeCateR", "MuProp", "Rebar", "ReinMax"])
    def test_evaluations_are_counted(self, name: str) -> None:
        (row,) = compared(CATEGORICAL, ESTIMATORS[name](), draws=20).rows
        assert row.evaluations == ESTIMATORS[name]().evaluations(3, 2)
        assert row.seconds > 0


class TestDistributions:
    @pytest.mark.parametrize(
        ("q", "parameters"),
        [
            (Normal(torch.zeros(3), torch.ones(3)), 6),
            (Independent(Normal(torch.zeros(2, 3), 1.0), 1), 12),
            (Gamma(torch.ones(()), torch.ones(())), 2),
            (MultivariateNormal(torch.zeros(3), torch.eye(3)), 12),
        ],
        ids=lambda value: type(value).__name__,
    )
    def test_continuous_ones_are_compared_by_what_they_are_made_of(self, q: Distribution, parameters: int) -> None:
        lead = len(q.batch_shape)

        def cost(z: Tensor) -> Tensor:
            return (z**2).flatten(1 + lead).sum(-1) if z.dim() > 1 + lead else z**2

        report = compare([Pathwise(), LeaveOneOut(samples=4)], cost, q, draws=400, resolution=10.0)
        assert report.parameters == parameters
        assert [row.verdict for row in report.rows] == ["none seen", "none seen"]

    def test_discrete_ones_are_compared_by_their_logits(self) -> None:
        probs = torch.tensor([[0.2, 0.8], [0.5, 0.5]])
        for q in (OneHotCategorical(probs=probs), Independent(OneHotCategorical(logits=probs.log()), 1)):
            report = compare([StraightThrough()], lambda z: z[..., 0].sum(-1), q, draws=500)
            assert report.reference_norm.value == pytest.approx((2 * (0.16**2 + 0.25**2)) ** 0.5, rel=1e-5)

    @pytest.mark.parametrize(
        "q",
        [
            Categorical(logits=torch.tensor([0.3, -0.2, 0.5])),
            KSubset(torch.tensor([0.3, -0.2, 0.5]), 2),
            PlackettLuce(torch.tensor([0.3, -0.2, 0.5]), 2),
        ],
        ids=lambda q: type(q).__name__,
    )
    def test_every_kind_that_can_be_counted_is_enumerated(self, q: Distribution) -> None:
        def cost(z: Tensor) -> Tensor:
            rows = z.reshape(len(z), -1).float()
            return (rows[:, 0] - 0.5) ** 2 + 3 * (rows == 1).any(1) - rows[:, -1]

        report = compare([LeaveOneOut(), Exact()], cost, q, draws=4000, resolution=0.3)
        assert report.reference == "the exact gradient, by enumeration"
        assert report.parameters == 3
        assert [row.verdict for row in report.rows] == ["none seen", "none seen"]

    @pytest.mark.parametrize("container", [dict, list])
    def test_several_ones_are_compared_together(self, container: type) -> None:
        bits, choice = (
            Bernoulli(logits=torch.tensor([0.3, -0.2])),
            OneHotCategorical(logits=torch.tensor([[0.2, 1, 0]])),
        )
        first, second = ("bits", "choice") if container is dict else (0, 1)
        q = {"bits": bits, "choice": choice} if container is dict else [bits, choice]

        def cost(z: Any) -> Tensor:
            return (z[first].sum(-1) - z[second][..., 0].sum(-1)) ** 2

        report = compare([LeaveOneOut(), Exact(), StraightThrough()], cost, q, draws=4000, resolution=0.3)
        assert report.reference == "the exact gradient, by enumeration"
        assert report.parameters == 5
        assert [row.verdict for row in report.rows] == ["none seen", "none seen", "biased"]

    def test_elements_of_a_batch_are_independent(self) -> None:
        logits = torch.randn(4, 2, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
        weights = torch.arange(6, dtype=torch.float64).reshape(2, 3)

        def cost(z: Tensor) -> Tensor:
            return (z * weights).sum((-1, -2)) ** 2

        seeds = [torch.Generator().manual_seed(1) for _ in range(5)]
        whole = compare([ReinMax()], cost, OneHotCategorical(logits=logits), draws=3000, generator=seeds[0]).rows[0]
        parts = [
            compare([ReinMax()], cost, OneHotCategorical(logits=row), draws=3000, generator=seed).rows[0]
            for row, seed in zip(logits, seeds[1:], strict=True)
        ]
        error = (whole.variance.error**2 + sum(part.variance.error**2 for part in parts)) ** 0.5
        assert abs(whole.variance.value - sum(part.variance.value for part in parts)) < 5 * error

    def test_one_that_cannot_be_copied_is_refused(self) -> None:
        class Coin(Bernoulli):
            def __init__(self) -> None:
                super().__init__(logits=torch.zeros(()))

        for estimator, q in ((StraightThrough(), Coin()), (Pathwise(), RelaxedOneHotCategorical(0.5, torch.ones(3)))):
            with pytest.raises(TypeError, match="q must be a distribution that can be made anew"):
                compare([estimator], lambda z: z, q, reference=torch.zeros(()))


class TestState:
    def test_nothing_of_the_callers_is_changed(self) -> None:
        logits = torch.zeros(3, 4, requires_grad=True)
        weights = torch.ones(4, requires_grad=True)
        learner = Reinforce(MovingAverage())
        before = {name: value.clone() for name, value in learner.state_dict().items()}
        random = torch.get_rng_state()
        seeds, q = torch.Generator().manual_seed(1), OneHotCategorical(logits=logits)
        compare([learner, Relax()], lambda z: (z * weights).sum((-1, -2)), q, draws=20, adapt=5, generator=seeds)
        assert logits.grad is None
        assert weights.grad is None
        assert learner.training
        assert all(torch.equal(value, before[name]) for name, value in learner.state_dict().items())
        assert torch.equal(torch.get_rng_state(), random)

    def test_estimators_that_learn_are_adapted(self) -> None:
        q = OneHotCategorical(logits=torch.zeros(3, dtype=torch.float64))
        learner = Reinforce(MovingAverage())

        def variance(adapt: int) -> float:
            seeds = torch.Generator().manual_seed(1)
            report = compare([learner], lambda z: 10 + z[..., 0], q, adapt=adapt, generator=seeds)
            return report.rows[0].variance.value

        assert variance(20) < 0.05 * variance(0)
        learner.eval()
        assert variance(20) == variance(0)

    def test_one_seed_is_one_report_whatever_else_is_on_the_list(self) -> None:
        alone = compared(BINARY, ReinMax(), draws=100)["ReinMax(tau=1)"]
        among = compared(BINARY, Relax(), GumbelSoftmax(tau=0.5), ReinMax(), draws=100, adapt=3)["ReinMax(tau=1)"]
        assert (alone.variance, alone.bias, alone.cosine) == (among.variance, among.bias, among.cosine)

    def test_the_default_generator_is_the_default(self) -> None:
        q = Bernoulli(logits=torch.zeros(2))
        found = []
        for seed in (3, 3, 4):
            torch.manual_seed(seed)
            found.append(compare([STGumbelSoftmax()], lambda z: z.sum(-1) ** 2, q, draws=50).rows[0].variance.value)
        assert found[0] == found[1] != found[2]


class TestMistakes:
    @pytest.mark.parametrize(
        ("options", "message"),
        [
            ({"draws": 1}, "draws must be at least 2"),
            ({"resolution": 0.0}, "resolution must be positive"),
            ({"adapt": -1}, "adapt must be at least 0"),
            ({"at_once": 0}, "at_once must be at least 1"),
        ],
    )
    def test_of_options(self, options: dict[str, object], message: str) -> None:
        with pytest.raises(ValueError, match=message):
            compared(BINARY, ReinMax(), **options)

    def test_an_empty_list(self) -> None:
        with pytest.raises(ValueError, match="estimators must hold at least one"):
            compared(BINARY)

    def test_a_class_in_place_of_an_object(self) -> None:
        with pytest.raises(TypeError, match=r"estimators must be Estimator objects such as ReinMax\(\)"):
            compare([ReinMax], lambda z: z, Bernoulli(logits=torch.zeros(())))  # type: ignore[list-item]

    @pytest.mark.parametrize(
        "estimators", [ReinMax(), 3, (ReinMax() for _ in range(2))], ids=["one", "number", "iterator"]
    )
    def test_what_is_no_list(self, estimators: object) -> None:
        with pytest.raises(TypeError, match=r"estimators must be a list of Estimator objects.*write \[ReinMax\(\)\]"):
            compare(estimators, lambda z: z, Bernoulli(logits=torch.zeros(())))  # type: ignore[arg-type]

    def test_a_dict_of_something_else(self) -> None:
        with pytest.raises(TypeError, match=r"estimators must be Estimator objects such as ReinMax\(\), but one is 3"):
            compare({"a": 3}, lambda z: z, Bernoulli(logits=torch.zeros(())))  # type: ignore[dict-item]
        with pytest.raises(TypeError, match="estimators must have names that are strings, but one is 1; write '1'"):
            compare({1: ReinMax()}, lambda z: z, Bernoulli(logits=torch.zeros(())))  # type: ignore[dict-item]

    def test_two_of_one_name(self) -> None:
        with pytest.raises(ValueError, match="two are called StraightThrough; give a dict"):
            compared(BINARY, StraightThrough(), StraightThrough())

    def test_a_cost_of_a_wrong_shape_is_told_in_the_callers_shapes(self) -> None:
        with pytest.raises(ValueError, match=r"\(1,\) or \(1, 3\) .* but it returned shape \(1, 2\)"):
            compare([ReinMax()], lambda z: z[..., :2], Bernoulli(logits=torch.zeros(3)), reference=torch.zeros(3))

    def test_a_cost_without_a_gradient(self) -> None:
        with pytest.raises(ValueError, match="ReinMax needs the gradient of the cost"):
            compared_without_gradient()

    def test_more_gradients_than_fit(self) -> None:
        with pytest.raises(ValueError, match=r"draws must be at most 134217 for 1000 parameters"):
            compare(
                [StraightThrough()], lambda z: z.sum(-1), Bernoulli(logits=torch.zeros(1000)), draws=200_000,
                reference=torch.zeros(1000),
            )  # fmt: skip


def compared_without_gradient() -> Report:
    return compare([ReinMax()], lambda z: z.round().detach().sum(-1), Bernoulli(logits=torch.zeros(3)))
