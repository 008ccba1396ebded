"""Sums over the most probable states and samples without replacement, against brute force over all of them."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence

import pytest
import torch
from torch import Tensor
from torch.distributions import Bernoulli, OneHotCategorical

from drawgrad.estimators import Estimator, Exact, LeaveOneOut, RaoBlackwellScore, Reinforce, UnorderedSet
from drawgrad.estimators._configurations import Configurations
from drawgrad.estimators._inclusion import leave_one_out_ratios
from drawgrad.variables import Binary, OneHot, Relaxable
from tests.estimators.orders import FarFromZero, assert_less_error
from tests.estimators.problems import Problem
from tests.statistics import assert_frequencies

ESTIMATORS = [RaoBlackwellScore(top=3, samples=2), RaoBlackwellScore(top=2, centred=True), UnorderedSet(samples=3)]


def variables(binary: bool, *batch: int) -> Relaxable:
    generator = torch.Generator().manual_seed(5)
    if binary:
        return Binary(torch.randn(*batch, generator=generator, dtype=torch.float64) * 1.5)
    return OneHot(torch.randn(*batch, 3, generator=generator, dtype=torch.float64) * 1.5)


def all_states(log_pi: Tensor) -> tuple[Tensor, Tensor]:
    """All configurations of variables ``(n, k)`` and their log-probabilities, by enumeration."""
    n, k = log_pi.shape
    states = torch.cartesian_prod(*[torch.arange(k)] * n).reshape(-1, n)
    return states, log_pi[torch.arange(n), states].sum(-1)


def probability(p: Sequence[float], drawn: Sequence[int], left_out: Sequence[int] = ()) -> float:
    """That the first draws without replacement, from all but those left out, are those of a set: order by order."""
    total = 0.0
    for order in itertools.permutations(set(drawn) - set(left_out)):
        rest = [value for state, value in enumerate(p) if state not in left_out]
        one = 1.0
        for state in order:
            one *= p[state] / sum(rest)
            rest.remove(p[state])
        total += one
    return total


class TestConfigurations:
    @pytest.mark.parametrize("binary", [False, True])
    @pytest.mark.parametrize("shared", [1, 2, 4])
    @pytest.mark.parametrize("count", [1, 2, 7])
    def test_the_top_is_that_of_a_sorted_list(self, binary: bool, shared: int, count: int) -> None:
        space = Configurations.of(variables(binary, 5, shared), 1)
        count = min(count, space.states - 1)
        found = space.top(count, space.mode())
        assert found.shape == (5, count, shared)
        for row in range(5):
            states, log_p = all_states(space.log_pi[row])
            order = log_p.argsort(descending=True)
            assert torch.equal(space.mode()[row, 0], states[order[0]])
            assert torch.equal(found[row], states[order[1 : count + 1]])
            torch.testing.assert_close(space.log_prob(found)[row], log_p[order[1 : count + 1]])

    @pytest.mark.parametrize("variable", [variables(False, 1), variables(False, 2), variables(True, 3)])
    def test_draws_follow_the_order_of_draws_without_replacement(self, variable: Relaxable) -> None:
        """Two draws and one state left out: every ordered pair by its probability."""
        draws = 40_000
        many = type(variable)(variable.logits.expand(draws, *variable.logits.shape))
        space = Configurations.of(many, 1)
        states, log_p = all_states(space.log_pi[0])
        p = log_p.exp().tolist()
        count = min(2, len(p) - 1)
        found = space.draw(count, space.mode(), torch.tensor(3), 0)
        left_out = states.tolist().index(space.mode()[0, 0].tolist())
        number = (found[:, :, None] == states).all(-1).long().argmax(-1)
        key = number[:, 0] * len(p) + number[:, -1]
        expected = torch.zeros(len(p) ** 2)
        for pair in itertools.permutations([i for i in range(len(p)) if i != left_out], count):
            rest = 1 - p[left_out]
            first = p[pair[0]] / rest
            second = p[pair[1]] / (rest - p[pair[0]]) if count == 2 else 1.0
            expected[pair[0] * len(p) + pair[-1]] = first * second
        assert expected.sum().item() == pytest.approx(1)
        assert_frequencies(key.bincount(minlength=len(p) ** 2), expected, resolution=0.03)

    def test_codes_are_in_the_order_of_the_samples(self) -> None:
        variable = variables(False, 4, 2, 3)
        space = Configurations.of(variable, 2)
        chosen = space.top(5, space.mode())
        code = space.index(chosen)
        assert code.shape == (5, 4, 2, 3)
        log_p = variable.expand(5).log_prob(code).sum(-1)
        torch.testing.assert_close(space.by_cost(space.log_prob(chosen)), log_p)
        first = variable.draw(torch.tensor(1))
        assert torch.equal(space.index(space.number(first))[0], first)


class TestRatios:
    CASES = ((5, 2, 1.0), (6, 3, 2.0), (6, 4, 3.0), (5, 5, 1.0), (8, 4, 5.0))

    @pytest.mark.parametrize(("states", "size", "scale"), CASES)
    def test_are_those_of_all_orders(self, states: int, size: int, scale: float) -> None:
        p = (torch.randn(states, dtype=torch.float64) * scale).softmax(0)
        sets = list(itertools.combinations(range(states), size))
        first, second = leave_one_out_ratios(p[torch.tensor(sets)])
        for row, drawn in enumerate(sets):
            whole = probability(p.tolist(), drawn)
            for i, s in enumerate(drawn):
                without = probability(p.tolist(), drawn, (s,))
                assert first[row, i].item() == pytest.approx(without / whole, rel=1e-7)
                for j, t in enumerate(drawn):
                    expected = 1.0 if i == j else probability(p.tolist(), drawn, (s, t)) / without
                    assert second[row, i, j].item() == pytest.approx(expected, rel=1e-7)

    @pytest.mark.parametrize(("states", "size", "scale"), CASES)
    def test_make_the_estimate_exact_on_average_over_all_sets(self, states: int, size: int, scale: float) -> None:
        """The theorem itself, without a sample: value and gradient, weighted by the probability of each set."""
        p = (torch.randn(states, dtype=torch.float64) * scale).softmax(0)
        f = torch.randn(states, dtype=torch.float64) + 3
        sets = list(itertools.combinations(range(states), size))
        index = torch.tensor(sets)
        first, second = leave_one_out_ratios(p[index])
        chance = torch.tensor([probability(p.tolist(), drawn) for drawn in sets], dtype=torch.float64)
        assert chance.sum().item() == pytest.approx(1)
        baseline = (p[index][:, None] * second * f[index][:, None]).sum(-1)
        weights = chance[:, None] * p[index] * first
        assert (weights * f[index]).sum().item() == pytest.approx((p @ f).item(), rel=1e-8)
        score = torch.eye(states, dtype=torch.float64)[index] - p
        found = ((weights * (f[index] - baseline))[..., None] * score).sum((0, 1))
        torch.testing.assert_close(found, p * (f - p @ f), rtol=1e-7, atol=1e-9)

    def test_of_a_set_that_holds_everything_are_one(self) -> None:
        for p in ([1.0], [0.3, 0.7], [1.0, 0.0], [1 - 1e-12, 1e-12]):
            first, second = leave_one_out_ratios(torch.tensor([p], dtype=torch.float64))
            torch.testing.assert_close(first[0, 0].item(), 1.0)
            assert bool(second.isfinite().all())

    def test_of_many_rare_states_do_not_vanish(self) -> None:
        first, second = leave_one_out_ratios(torch.full((1, 20), 1e-12, dtype=torch.float64))
        # As good as independent draws: the estimate is the mean of the costs, its baseline the mean of the others.
        torch.testing.assert_close(first * 1e-12, torch.full((1, 20), 1 / 20).double())
        off = ~torch.eye(20, dtype=torch.bool)
        torch.testing.assert_close(second[0][off] * 1e-12, torch.full((380,), 1 / 19).double())

    def test_blocks_are_one_whole(self, monkeypatch: pytest.MonkeyPatch) -> None:
        p = torch.rand(50, 3, dtype=torch.float64) / 4
        whole = leave_one_out_ratios(p)
        monkeypatch.setattr("drawgrad.estimators._inclusion.BLOCK", 3 * 150 * 7)
        torch.testing.assert_close(leave_one_out_ratios(p), whole)


class TestAllStates:
    @pytest.mark.parametrize("estimator", [RaoBlackwellScore(top=9), UnorderedSet(samples=9), UnorderedSet(samples=40)])
    @pytest.mark.parametrize("problem", [Problem("neural", 3, 2), Problem("neural", 2, 3, binary=True)])
    def test_are_an_exact_sum(self, estimator: Estimator, problem: Problem) -> None:
        found, exact = problem.estimates(estimator, 5), problem.exact()
        for one, other in zip(vars(found).values(), vars(exact).values(), strict=True):
            torch.testing.assert_close(one, other.expand_as(one), rtol=1e-7, atol=1e-9)

    @pytest.mark.parametrize("estimator", ESTIMATORS)
    def test_one_class_has_one_state(self, estimator: Estimator) -> None:
        logits = torch.zeros(4, 2, 1, requires_grad=True)
        loss = estimator(lambda z: z.sum((-1, -2)) + 1, OneHotCategorical(logits=logits))
        assert loss.tolist() == [3.0] * 4
        assert torch.equal(torch.autograd.grad(loss.sum(), logits)[0], torch.zeros(4, 2, 1))
        assert estimator.evaluations(1, 2) == 1


class TestCost:
    @pytest.mark.parametrize("estimator", ESTIMATORS)
    def test_sees_different_states_only(self, estimator: Estimator) -> None:
        seen: list[Tensor] = []
        q = OneHotCategorical(logits=torch.randn(30, 2, 3))
        estimator(lambda z: seen.append(z) or z[..., 0].sum(-1), q, seed=1)
        z = torch.cat(seen).flatten(2)
        top = 3 if not isinstance(estimator, RaoBlackwellScore) else estimator.top
        for row in range(30):
            assert len(z[:top, row].unique(dim=0)) == top
            if isinstance(estimator, RaoBlackwellScore):
                outside = (z[top:, row, None] == z[None, :top, row]).all(-1)
                assert not bool(outside.any())

    @pytest.mark.parametrize("estimator", [*ESTIMATORS, RaoBlackwellScore(top=9), UnorderedSet(samples=9)])
    def test_of_an_impossible_state_may_be_infinite(self, estimator: Estimator) -> None:
        """Two of three classes are possible in each variable, so some sets must hold impossible states."""
        logits = torch.tensor([[0.3, -torch.inf, 1.0], [-torch.inf, 0.2, -0.4]]).double().expand(200, 2, 3)
        logits = logits.clone().requires_grad_()

        def cost(z: Tensor) -> Tensor:
            impossible = (z[..., 0, 1] == 1) | (z[..., 1, 0] == 1)
            return torch.where(impossible, torch.inf, z[..., 0, 0] + 2 * z[..., 1, 1])

        loss = estimator(cost, OneHotCategorical(logits=logits), seed=1)
        (found,) = torch.autograd.grad(loss.sum(), logits)
        assert bool(loss.isfinite().all())
        assert bool(found.isfinite().all())
        assert bool((found[:, 0, 1] == 0).all())
        if estimator.evaluations(3, 2) == 9:
            exact = Exact()(cost, OneHotCategorical(logits=logits))
            torch.testing.assert_close(loss, exact)
            torch.testing.assert_close(found, torch.autograd.grad(exact.sum(), logits)[0])

    @pytest.mark.parametrize("estimator", ESTIMATORS)
    @pytest.mark.parametrize("size", [80.0, 1e4])
    def test_is_seen_by_large_logits(self, estimator: Estimator, size: float) -> None:
        for make in (lambda x: OneHotCategorical(logits=x), lambda x: Bernoulli(logits=x)):
            logits = (torch.tensor([1.0, -1.0, 0.0]) * size).expand(4, 2, 3).clone().requires_grad_()
            loss = estimator(lambda z: z.flatten(2).sum(-1), make(logits), seed=1)
            (found,) = torch.autograd.grad(loss.sum(), logits)
            assert bool(loss.isfinite().all())
            assert bool(found.isfinite().all())

    @pytest.mark.parametrize("estimator", ESTIMATORS)
    def test_of_many_variables_or_classes(self, estimator: Estimator) -> None:
        """Far more states than could be enumerated: 2^200, and 3 * 10^6 of two variables."""
        logits = torch.randn(2, 200, requires_grad=True)
        loss = estimator(lambda z: z.sum(-1), Bernoulli(logits=logits), seed=1)
        assert bool(torch.autograd.grad(loss.sum(), logits)[0].isfinite().all())
        logits = torch.randn(2, 2, 1700, requires_grad=True)
        loss = estimator(lambda z: z[..., 0].sum(-1), OneHotCategorical(logits=logits), seed=1)
        assert bool(torch.autograd.grad(loss.sum(), logits)[0].isfinite().all())


PROBLEMS = [Problem("neural", 3, 2), Problem("polynomial", 10, 1), Problem("polynomial", 2, 2, binary=True)]


class TestVariance:
    @pytest.mark.parametrize("problem", PROBLEMS)
    def test_of_the_exact_sum_and_the_rest_is_below_reinforce(self, problem: Problem) -> None:
        assert_less_error(problem, RaoBlackwellScore(top=2), Reinforce())

    @pytest.mark.parametrize("problem", PROBLEMS)
    def test_falls_with_every_state_that_is_summed(self, problem: Problem) -> None:
        assert_less_error(problem, RaoBlackwellScore(top=3), RaoBlackwellScore(top=1), draws=40_000)

    @pytest.mark.parametrize("problem", [FarFromZero("neural", 3, 2), FarFromZero("polynomial", 2, 2, binary=True)])
    def test_of_a_cost_far_from_zero_falls_once_it_is_centred(self, problem: Problem) -> None:
        assert_less_error(problem, RaoBlackwellScore(centred=True), RaoBlackwellScore())

    @pytest.mark.parametrize("problem", [FarFromZero("neural", 3, 2), *PROBLEMS])
    @pytest.mark.parametrize("samples", [2, 3])
    def test_of_sets_is_below_independent_samples(self, problem: Problem, samples: int) -> None:
        assert_less_error(problem, UnorderedSet(samples=samples), LeaveOneOut(samples=samples), draws=40_000)

    @pytest.mark.parametrize("samples", [2, 3])
    def test_of_sets_is_below_reinforce_for_a_cost_far_from_zero(self, samples: int) -> None:
        assert_less_error(FarFromZero("neural", 3, 2), UnorderedSet(samples=samples), Reinforce(samples=samples))

    def test_of_sets_of_rare_states_is_that_of_leave_one_out(self) -> None:
        """Where no state would come twice anyway, both are one estimator."""

        def errors(estimator: Callable[[int], Estimator]) -> Tensor:
            logits = torch.zeros(1000, 40, dtype=torch.float64, requires_grad=True)
            weights = torch.linspace(-1, 2, 40, dtype=torch.float64)
            loss = estimator(3)(lambda z: (z @ weights) ** 2, Bernoulli(logits=logits), seed=1)
            return torch.autograd.grad(loss.sum(), logits)[0]

        torch.testing.assert_close(
            errors(lambda samples: UnorderedSet(samples=samples)).var(),
            errors(lambda samples: LeaveOneOut(samples=samples)).var(),
            rtol=0.1,
            atol=0,
        )


def test_options() -> None:
    with pytest.raises(ValueError, match="samples must be at least 2, but it is 1"):
        UnorderedSet(samples=1)
    with pytest.raises(ValueError, match="top must be at least 1, but it is 0"):
        RaoBlackwellScore(top=0)
    with pytest.raises(TypeError, match="centred must be True or False"):
        RaoBlackwellScore(centred=1)  # type: ignore[arg-type]


@pytest.mark.parametrize("estimator", [RaoBlackwellScore(top=729), UnorderedSet(samples=729)])
def test_probabilities_of_narrow_logits_sum_to_one(estimator: Estimator) -> None:
    """Of all 3^6 states of six variables: the rounding of bfloat16 would multiply."""
    q = OneHotCategorical(logits=torch.randn(50, 6, 3).bfloat16(), validate_args=False)
    loss = estimator(lambda z: torch.ones(z.shape[:2], dtype=torch.float64), q, seed=1)
    torch.testing.assert_close(loss, torch.ones(50, dtype=torch.float64))
