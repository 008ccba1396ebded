"""Sums over chosen states, and sets of samples without replacement."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor
from torch.distributions import Bernoulli, OneHotCategorical

from drawgrad.estimators import Estimator, Exact, LeaveOneOut, RaoBlackwellScore, Reinforce, UnorderedSet
from tests.estimators.orders import FarFromZero, assert_less_error
from tests.estimators.problems import Problem

ESTIMATORS = [RaoBlackwellScore(top=3, samples=2), RaoBlackwellScore(top=2, centered=True), UnorderedSet(samples=3)]


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
        assert_less_error(problem, RaoBlackwellScore(centered=True), RaoBlackwellScore())

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


@pytest.mark.parametrize("estimator", [RaoBlackwellScore(top=729), UnorderedSet(samples=729)])
def test_probabilities_of_narrow_logits_sum_to_one(estimator: Estimator) -> None:
    """Of all 3^6 states of six variables: the rounding of bfloat16 would multiply."""
    q = OneHotCategorical(logits=torch.randn(50, 6, 3).bfloat16(), validate_args=False)
    loss = estimator(lambda z: torch.ones(z.shape[:2], dtype=torch.float64), q, seed=1)
    torch.testing.assert_close(loss, torch.ones(50, dtype=torch.float64))
