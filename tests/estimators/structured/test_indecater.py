"""IndeCateR by a loop over variables and classes, and against samples that cost as much."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.distributions import Bernoulli, OneHotCategorical

from drawgrad.estimators import IndeCateR, LeaveOneOut, Reinforce
from tests.estimators.orders import FarFromZero, assert_less_error
from tests.estimators.problems import Problem


@pytest.mark.parametrize("binary", [False, True])
@pytest.mark.parametrize("samples", [1, 3])
def test_is_the_formula(binary: bool, samples: int) -> None:
    problem = Problem("neural", 2 if binary else 3, 2, binary)
    weights = problem.parameters
    seen: list[Tensor] = []

    def cost(z: Tensor) -> Tensor:
        seen.append(z)
        return problem.cost(z, weights)

    def estimate() -> tuple[Tensor, Tensor]:
        logits = problem.logits.clone().requires_grad_()
        loss = IndeCateR(samples=samples)(cost, problem.distribution(logits), seed=1)
        return loss.detach(), torch.autograd.grad(loss, logits)[0]

    value, found = estimate()
    logits = problem.logits.requires_grad_()
    pi = torch.stack([1 - logits.sigmoid(), logits.sigmoid()], -1) if binary else logits.softmax(-1)
    total = mean = torch.zeros((), dtype=torch.float64)
    for z in seen[0]:
        for n in range(2):
            for k in range(problem.classes):
                changed = z.clone()
                changed[n] = float(k) if binary else torch.eye(3, dtype=torch.float64)[k]
                f = problem.cost(changed, weights)
                total = total + pi[n, k] * f / samples
                mean = mean + pi[n, k].detach() * f / (2 * samples)
    torch.testing.assert_close(value, mean)
    torch.testing.assert_close(found, torch.autograd.grad(total, logits)[0])


@pytest.mark.parametrize("problem", [Problem("neural", 5, 1), Problem("neural", 2, 1, binary=True)])
def test_of_one_variable_is_exact(problem: Problem) -> None:
    found, exact = problem.estimates(IndeCateR(), 5), problem.exact()
    for one, other in zip(vars(found).values(), vars(exact).values(), strict=True):
        torch.testing.assert_close(one, other.expand_as(one))


def test_an_impossible_class_may_have_an_infinite_cost() -> None:
    logits = torch.tensor([[0.3, -torch.inf, 1.0], [0.1, 0.2, -0.4]]).expand(50, 2, 3).clone().requires_grad_()
    loss = IndeCateR(samples=2)(
        lambda z: torch.where(z[..., 0, 1] == 1, torch.inf, z[..., 1, 0]), OneHotCategorical(logits=logits), seed=1
    )
    (found,) = torch.autograd.grad(loss.sum(), logits)
    assert bool(loss.isfinite().all())
    assert bool(found.isfinite().all())
    assert bool((found[:, 1] != 0).all())


def test_large_logits_and_one_class() -> None:
    logits = torch.tensor([1e4, -1e4, 0.0], requires_grad=True)
    for q in (OneHotCategorical(logits=logits), Bernoulli(logits=logits)):
        loss = IndeCateR()(lambda z: z.sum(-1), q, seed=1)
        assert bool(torch.autograd.grad(loss, logits)[0].isfinite().all())
    single = torch.zeros(4, 1, requires_grad=True)
    loss = IndeCateR()(lambda z: z.sum((-1, -2)), OneHotCategorical(logits=single), seed=1)
    assert loss == 4
    assert torch.equal(torch.autograd.grad(loss, single)[0], torch.zeros(4, 1))


@pytest.mark.parametrize(
    "problem", [FarFromZero("neural", 3, 3), Problem("neural", 3, 2), FarFromZero("polynomial", 2, 3, binary=True)]
)
def test_has_less_variance_than_samples_that_cost_as_much(problem: Problem) -> None:
    indecater = IndeCateR()
    budget = indecater.evaluations(problem.classes, problem.variables)
    assert_less_error(problem, indecater, LeaveOneOut(samples=budget))
    assert_less_error(problem, indecater, Reinforce(samples=budget))
