"""A solver in the forward pass."""

from __future__ import annotations

from functools import partial

import pytest
import torch
from torch.distributions import OneHotCategorical

from drawgrad.estimators import Exact, LeaveOneOut
from drawgrad.logic import (
    HardEngine,
    Limits,
    MaxPlus,
    NotEqual,
    PerturbAndMap,
    Problem,
    PropagationSurrogate,
    Report,
    SoftDomains,
    SolverThrough,
    all_solutions,
)
from tests.statistics import assert_mean

SURROGATES = [PropagationSurrogate(rounds=2), PerturbAndMap(step=2.0), PerturbAndMap(noise=0.5)]
named = {"ids": lambda surrogate: repr(surrogate)}


def chain() -> Problem:
    return Problem(4, 3, [NotEqual(i, i + 1) for i in range(3)])


@pytest.mark.parametrize("surrogate", SURROGATES[:2], **named)
def test_forward_is_the_most_likely_solution(surrogate: PropagationSurrogate | PerturbAndMap) -> None:
    problem = chain()
    probs = torch.rand(5, 4, 3, generator=torch.Generator().manual_seed(0)).requires_grad_()
    answer = SolverThrough(problem, surrogate)(problem.domains(probs))
    assert torch.equal(answer.most_likely(), problem.most_likely(problem.domains(probs.detach())).first())
    assert torch.equal(answer.elements.sum(-1), torch.ones(5, 4))
    assert answer.elements.unique().tolist() == [0.0, 1.0]


@pytest.mark.parametrize("surrogate", SURROGATES, **named)
def test_training_through_it_reaches_the_target(surrogate: PropagationSurrogate | PerturbAndMap) -> None:
    """Beliefs of one variable are learned from the values of the others."""
    problem = Problem(3, 2, [NotEqual(0, 1), NotEqual(1, 2)])
    logits = torch.tensor([[0.5, -0.5]], requires_grad=True)
    where = torch.tensor([True, False, False])
    layer = SolverThrough(problem, surrogate)
    optimizer = torch.optim.SGD([logits], lr=0.5)

    def cost(layer: SolverThrough) -> torch.Tensor:
        answer = layer(problem.domains(logits.softmax(-1), where=where))
        return -answer.elements[[1, 2], [0, 1]].sum()

    exact = SolverThrough(problem)
    assert cost(exact) == 0
    for _ in range(30):
        optimizer.zero_grad()
        cost(layer).backward()
        optimizer.step()
    assert cost(exact) == -2


def test_the_gradient_of_propagation_is_straight_through() -> None:
    problem = chain()
    probs = torch.rand(4, 3, generator=torch.Generator().manual_seed(1)).requires_grad_()
    weights = torch.rand(4, 3, generator=torch.Generator().manual_seed(2))
    layer = SolverThrough(problem, PropagationSurrogate(rounds=2))
    (found,) = torch.autograd.grad((layer(problem.domains(probs)).elements * weights).sum(), probs)
    soft = problem.propagate(problem.domains(probs), rounds=2).log_probs().exp()
    (expected,) = torch.autograd.grad((soft * weights).sum(), probs)
    assert torch.equal(found, expected)


def test_the_gradient_of_perturb_and_map_is_a_difference_of_answers() -> None:
    problem = chain()
    logs = torch.rand(4, 3, generator=torch.Generator().manual_seed(1)).log().requires_grad_()
    weights = torch.randn(4, 3, generator=torch.Generator().manual_seed(2))
    layer = SolverThrough(problem, PerturbAndMap(step=3.0))
    answer = layer(problem.domains(logs.exp())).elements
    (found,) = torch.autograd.grad((answer * weights).sum(), logs)
    moved = layer(problem.domains((logs - 3.0 * weights).detach().softmax(-1))).elements
    torch.testing.assert_close(found, (answer - moved).detach() / 3.0)
    assert found.any()


def test_no_solution_is_an_empty_domain() -> None:
    problem = Problem(2, 1, [NotEqual(0, 1)])
    probs = torch.ones(2, 1, requires_grad=True)
    for surrogate in SURROGATES:
        answer = SolverThrough(problem, surrogate)(problem.domains(probs))
        assert answer.contradiction() == 0
        (gradient,) = torch.autograd.grad(answer.elements.sum(), probs)
        assert gradient.isfinite().all()


def test_another_solver_is_asked() -> None:
    asked = []

    class Spy:
        def search(self, program: object, domains: object, scores: object, limits: Limits) -> Report:
            asked.append(limits)
            return HardEngine().search(program, domains, scores, limits)

    problem = chain()
    SolverThrough(problem, PropagationSurrogate(), Spy())(problem.domains())
    assert asked == [Limits(1)]


def test_mistakes() -> None:
    with pytest.raises(TypeError, match="surrogate must be a SolverSurrogate"):
        SolverThrough(chain(), "straight_through")
    with pytest.raises(ValueError, match="step must be positive"):
        PerturbAndMap(step=0.0)
    with pytest.raises(ValueError, match="rounds must be at least 1"):
        PropagationSurrogate(rounds=0)


def costs_of_answers(problem: Problem, z: torch.Tensor) -> torch.Tensor:
    """What the solver makes of the first two variables' values, judged at the last one: ``(*shape,)`` of one-hot z."""
    domains = problem.domains().elements.expand(*z.shape[:-2], -1, -1)
    answer = SolverThrough(problem)(problem.domains(torch.cat([z, domains[..., 2:, :]], -2)))
    return (answer.elements[..., -1, :] * torch.tensor([0.0, 1.0, 3.0])).sum(-1)


def test_leave_one_out_with_the_solver_inside_has_the_gradient_of_enumeration() -> None:
    """The solver is a part of the cost then, and needs no gradient of its own."""
    problem = Problem(4, 3, [NotEqual(0, 2), NotEqual(1, 2), NotEqual(2, 3), NotEqual(0, 3)])
    cost = partial(costs_of_answers, problem)
    logits = torch.tensor([[0.5, 0.0, -0.5], [0.2, -0.3, 0.1]], requires_grad=True)
    one = OneHotCategorical(logits=logits)
    (exact,) = torch.autograd.grad(Exact()(cost, one), logits)
    by_hand = sum(
        logits.softmax(-1)[0, a] * logits.softmax(-1)[1, b] * cost(torch.eye(3)[[a, b]])
        for a in range(3)
        for b in range(3)
    )
    torch.testing.assert_close(exact, torch.autograd.grad(by_hand, logits)[0])
    many = logits.detach().expand(4000, 2, 3).clone().requires_grad_()
    loss = LeaveOneOut(samples=4)(cost, OneHotCategorical(logits=many), seed=0)
    (found,) = torch.autograd.grad(loss.sum(), many)
    assert_mean(found, exact, resolution=0.1)
    with pytest.raises(AssertionError, match="the mean of entry"):
        assert_mean(found, 2 * exact, resolution=0.1)


def test_perturb_and_map_asks_for_the_best_of_all_solutions() -> None:
    problem = chain()
    solutions = all_solutions(problem)
    marks = torch.nn.functional.one_hot(solutions, 3).double()
    theta = torch.randn(20, 4, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(0)).requires_grad_()
    weights = torch.randn(20, 4, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(1))

    def best(scores: torch.Tensor) -> torch.Tensor:
        return marks[torch.einsum("biv,siv->bs", scores, marks).argmax(-1)]

    answer = SolverThrough(problem, PerturbAndMap(step=1.5))(SoftDomains(theta, MaxPlus()))
    (found,) = torch.autograd.grad((answer.elements * weights).sum(), theta)
    assert torch.equal(answer.elements, best(theta))
    torch.testing.assert_close(found, (best(theta) - best(theta - 1.5 * weights)) / 1.5)
    assert found.any()
