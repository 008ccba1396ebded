"""Estimators whose samples make control variates for each other, with the samples given."""

from __future__ import annotations

import torch
from torch import Tensor

from drawgrad.estimators.control_variate.crossed import CrossedEstimator
from tests.estimators.by_state import codes, variables
from tests.estimators.problems import Problem

__all__ = ["control", "expected_control", "slopes"]


def slopes(problem: Problem, z: Tensor) -> tuple[Tensor, Tensor]:
    """Costs of samples and their gradient for the samples."""
    leaf = z.clone().requires_grad_()
    costs = problem.cost(leaf, problem.parameters)
    return costs.detach(), torch.autograd.grad(costs.sum(), leaf)[0]


def control(estimator: CrossedEstimator, problem: Problem, z: Tensor) -> Tensor:
    """The control variate at samples ``(samples, n, *variables)``, shape ``(n, *variables)``."""
    logits = problem.logits.expand(z.shape[:2] + problem.logits.shape)
    variable = variables(problem, logits)
    assert torch.equal(variable.sample_of(codes(problem, z)), z)
    return estimator.control(variable, z, *slopes(problem, z)).detach()


def expected_control(estimator: CrossedEstimator, problem: Problem, p: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """Its mean over all tuples of independent samples with probabilities ``p``, and its largest entry."""
    states = problem.states()
    p = problem.probabilities(problem.logits) if p is None else p
    index = torch.cartesian_prod(*[torch.arange(len(p))] * estimator.samples)
    found = control(estimator, problem, states[index].transpose(0, 1))
    weights = p[index].prod(-1)
    return (weights.reshape(-1, *[1] * (found.dim() - 1)) * found).sum(0), found.abs().max()
