"""A solver in the forward pass."""

from __future__ import annotations

import pytest
import torch

from drawgrad.logic import (
    HardEngine,
    Limits,
    NotEqual,
    PerturbAndMap,
    Problem,
    PropagationSurrogate,
    Report,
    SolverThrough,
)

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
