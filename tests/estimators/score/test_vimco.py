"""VIMCO against its formula and against the objective of several samples."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

import pytest
import torch
from torch import Tensor
from torch.distributions import Bernoulli, Categorical, Normal, OneHotCategorical

from drawgrad.estimators import (
    Cost,
    Estimator,
    Exact,
    Reinforce,
    SampleEstimator,
    Vimco,
    gradient_only,
    sum_variables,
)
from drawgrad.variables import Scored
from tests.estimators.bounds import exact_bound
from tests.estimators.orders import FarFromZero
from tests.estimators.problems import Gradients, Problem
from tests.estimators.test_contract import assert_right_for_hard_samples, assert_unbiased
from tests.statistics import Underpowered, assert_mean

DRAWS = 20_000


@dataclass(frozen=True, kw_only=True)
class PlainBound(SampleEstimator):
    """The gradient of a multi-sample bound without a baseline."""

    unbiased: ClassVar[bool] = True
    needs_cost_gradient: ClassVar[bool] = False
    takes: ClassVar[type] = Scored
    multi_sample_bound: ClassVar[bool] = True

    def estimate(self, cost: Cost, variable: Scored, seed: Tensor) -> Tensor:
        drawn = variable.expand(self.samples)
        index = drawn.draw(seed)
        costs = cost(drawn.sample_of(index))
        bound = math.log(self.samples) - (-costs).logsumexp(0)
        return bound + gradient_only(bound.detach() * sum_variables(drawn.log_prob(index), costs)).sum(0)


def sample_and_score(cost: Callable[[Tensor], Tensor], estimator: Estimator) -> tuple[Tensor, Tensor, Tensor]:
    """Gradient for the logits of one variable with four classes, the costs, and the scores D - pi of the samples."""
    logits = torch.tensor([0.3, -0.4, 0.9, 0.0], dtype=torch.float64, requires_grad=True)
    seen = []
    loss = estimator(lambda z: seen.append(z) or cost(z), OneHotCategorical(logits=logits), seed=1)
    return torch.autograd.grad(loss, logits)[0], cost(seen[0]), seen[0] - logits.detach().softmax(0)


def costs_of_classes(z: Tensor) -> Tensor:
    return z @ torch.tensor([3.0, -1.0, 0.5, 2.0], dtype=torch.float64)


class TestVimco:
    @pytest.mark.parametrize("samples", [2, 5])
    def test_is_the_formula(self, samples: int) -> None:
        found, f, score = sample_and_score(costs_of_classes, Vimco(samples=samples))
        bound = -torch.log(torch.exp(-f).mean())
        expected = torch.zeros(4, dtype=torch.float64)
        for s in range(samples):
            others = [f[j] for j in range(samples) if j != s]
            replaced = torch.stack([*others, sum(others) / (samples - 1)])
            expected += (bound + torch.log(torch.exp(-replaced).mean())) * score[s]
        torch.testing.assert_close(found, expected)

    @pytest.mark.parametrize("samples", [2, 3, 4])
    @pytest.mark.parametrize("problem", [Problem("neural", 3, 2), Problem("polynomial", 2, 2, binary=True)])
    def test_has_the_mean_of_the_multi_sample_objective(self, problem: Problem, samples: int) -> None:
        assert_unbiased(problem.estimates(Vimco(samples=samples), 3 * DRAWS), exact_bound(problem, samples))

    @pytest.mark.parametrize("part", ["value", "logits", "parameters"])
    def test_and_not_that_of_the_expectation_or_of_other_numbers_of_samples(self, part: str) -> None:
        problem = Problem("neural", 3, 2)
        found = getattr(problem.estimates(Vimco(samples=2), 3 * DRAWS), part)
        for exact in (problem.exact(), exact_bound(problem, 4)):
            expected = getattr(exact, part)
            with pytest.raises(AssertionError, match="the mean of entry") as failure:
                assert_mean(found, expected, resolution=0.3 * max(expected.abs().max().item(), found.std().item()))
            assert not isinstance(failure.value, Underpowered)

    def test_the_exact_bound_of_one_sample_is_the_expectation(self) -> None:
        problem = Problem("neural", 3, 2)
        for one, other in zip(vars(exact_bound(problem, 1)).values(), vars(problem.exact()).values(), strict=True):
            torch.testing.assert_close(one, other)

    def test_inside_an_expectation(self) -> None:
        """The cost of an upper variable is the bound of a lower one: both layers by enumeration."""
        top = torch.tensor([0.4, -0.2, 0.1], dtype=torch.float64)
        weights = torch.tensor([[1.0, -0.5], [0.3, 0.8], [-1.2, 0.1]], dtype=torch.float64)
        bias = torch.tensor([0.2, -0.3], dtype=torch.float64)

        def cost(upper: Tensor, lower: Tensor) -> Tensor:
            return (lower.sum(-1) - 0.7) ** 2 * 2 + upper[..., 0] * lower[..., 1]

        def loss(outer: Estimator, inner: Callable[[Tensor, Bernoulli], Tensor], draws: int) -> Gradients:
            leaves = [leaf.expand(draws, *leaf.shape).clone().requires_grad_() for leaf in (top, bias)]
            found = outer(
                lambda upper: inner(upper, Bernoulli(logits=upper @ weights + leaves[1])),
                OneHotCategorical(logits=leaves[0]),
                seed=3,
            )
            return Gradients(found.detach(), *torch.autograd.grad(found.sum(), leaves))

        def exact(upper: Tensor, q: Bernoulli) -> Tensor:
            states = torch.cartesian_prod(*[torch.tensor([0.0, 1.0], dtype=torch.float64)] * 2)
            states = states.reshape(4, 1, 1, 2)
            p, f = q.log_prob(states).sum(-1).exp(), cost(upper, states)
            return sum(p[i] * p[j] * (math.log(2) - torch.logaddexp(-f[i], -f[j])) for i in range(4) for j in range(4))

        expected = loss(Exact(), exact, 1)
        vimco = lambda upper, q: Vimco()(lambda z: cost(upper, z), q, seed=5)  # noqa: E731
        for outer, draws in ((Exact(), DRAWS), (Reinforce(samples=2), 3 * DRAWS)):
            found = loss(outer, vimco, draws)
            for one, other in zip(vars(found).values(), vars(expected).values(), strict=True):
                assert_mean(one, other[0], resolution=0.25 * other.abs().max().item())

    def test_a_perfect_posterior_leaves_no_variance(self) -> None:
        """The cost log q(z) - log p(x, z) is constant then: the bound is the evidence, whatever is drawn."""
        logits = torch.randn(50, 4, dtype=torch.float64, requires_grad=True)
        joint = (logits.detach().log_softmax(-1) - 1.3).clone()
        seen = []

        def log_q(z: Tensor) -> Tensor:
            seen.append(z)
            return Categorical(logits=logits).log_prob(z)

        q = Categorical(logits=logits)
        loss = Vimco(samples=3)(lambda z: log_q(z) - joint.gather(-1, z.T).T, q, seed=1)
        torch.testing.assert_close(loss.detach(), torch.full((50,), 1.3).double())
        (found,) = torch.autograd.grad(loss.sum(), logits)
        # Only the cost's own log q is left, a score whose mean is zero.
        torch.testing.assert_close(found, torch.autograd.grad(log_q(seen[0]).mean(0).sum(), logits)[0])

    def test_a_cost_that_is_infinite_counts_as_impossible(self) -> None:
        """A sample of weight exp(-inf) = 0, as in importance weighting, leaves value and gradient finite."""
        for samples in (2, 5):
            logits = torch.zeros(300, 3, dtype=torch.float64, requires_grad=True)

            def cost(z: Tensor) -> Tensor:
                return torch.where(z[..., 0] == 1, torch.inf, z[..., 1])

            loss = Vimco(samples=samples)(cost, OneHotCategorical(logits=logits), seed=1)
            possible = loss.detach().isfinite()
            assert bool(possible.any())
            (found,) = torch.autograd.grad(loss.sum(), logits)
            assert bool(found[possible].isfinite().all())
            assert bool((found[possible] != 0).any())

    def test_costs_of_any_size_do_not_overflow(self) -> None:
        for scale in (1e4, -1e4):
            logits = torch.zeros(20, 3, requires_grad=True)
            loss = Vimco(samples=4)(lambda z, scale=scale: scale * z[..., 0], OneHotCategorical(logits=logits), seed=1)
            (found,) = torch.autograd.grad(loss.sum(), logits)
            assert bool(found.isfinite().all())

    def test_takes_continuous_samples(self) -> None:
        """E[-log mean exp(-f)] for f linear in a normal variable, by quadrature over two samples."""
        loc = torch.full((3 * DRAWS,), 0.3, dtype=torch.float64, requires_grad=True)
        found = torch.autograd.grad(Vimco()(lambda z: 2 * z.detach(), Normal(loc, 1.0), seed=1).sum(), loc)[0]
        # A shift of loc shifts both costs and with them the bound, by twice as much.
        assert_mean(found, 2.0, resolution=0.2)

    @pytest.mark.parametrize("problem", [FarFromZero("neural", 3, 2), FarFromZero("polynomial", 2, 2, binary=True)])
    def test_has_less_variance_than_the_bound_without_baseline(self, problem: Problem) -> None:
        def errors(estimator: Estimator, seed: int) -> Tensor:
            found = problem.estimates(estimator, 4000, seed=seed).logits
            return ((found - exact_bound(problem, 3).logits) ** 2).flatten(1).sum(-1)

        small, large = errors(Vimco(samples=3), 1), errors(PlainBound(samples=3), 2)
        assert large.mean() - small.mean() > 5 * torch.sqrt((small.var() + large.var()) / 4000)


def test_the_plain_bound_is_right() -> None:
    problem = Problem("neural", 3, 2)
    found = problem.estimates(PlainBound(samples=2), 3 * DRAWS)
    exact = exact_bound(problem, 2)
    assert_right_for_hard_samples(found, exact)
    assert_mean(found.logits, exact.logits, resolution=0.5 * exact.logits.abs().max().item())
