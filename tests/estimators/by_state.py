"""The gradients of surrogate estimators, state by state: no sampling, so their means are exact sums."""

from __future__ import annotations

import torch
from torch import Tensor

from drawgrad.estimators import StraightThroughEstimator
from drawgrad.variables import Binary, OneHot, Relaxable
from tests.estimators.problems import Problem

__all__ = ["codes", "expected_gradient", "state_gradients", "variables"]


def variables(problem: Problem, logits: Tensor) -> Relaxable:
    """The variables of a problem."""
    return Binary(logits) if problem.binary else OneHot(logits)


def codes(problem: Problem, states: Tensor) -> Tensor:
    """Codes of samples."""
    return states == 1 if problem.binary else states.argmax(-1)


def state_gradients(estimator: StraightThroughEstimator, problem: Problem, copies: int = 1, seed: int = 0) -> Tensor:
    """Gradients for the logits at every state, each as often as asked for, shape ``(states * copies, *logits)``."""
    states = problem.states().repeat_interleave(copies, 0)
    logits = problem.logits.expand(len(states), *problem.logits.shape).clone().requires_grad_()
    z = estimator.attach(variables(problem, logits), codes(problem, states), torch.tensor(seed))
    assert torch.equal(z.detach(), states)
    return torch.autograd.grad(problem.cost(z, problem.parameters).sum(), logits)[0]


def expected_gradient(estimator: StraightThroughEstimator, problem: Problem) -> Tensor:
    """The mean of the estimator's gradient over all states."""
    found = state_gradients(estimator, problem)
    weights = problem.probabilities(problem.logits)
    return (weights.reshape(-1, *[1] * (found.dim() - 1)) * found).sum(0)
