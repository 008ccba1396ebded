"""The exact objective of multi-sample bounds: all tuples of states, written apart from the package."""

from __future__ import annotations

import math

import torch

from drawgrad.estimators import Estimator, SampleEstimator
from tests.estimators.problems import Gradients, Problem

__all__ = ["exact_bound", "exact_objective"]


def exact_objective(estimator: Estimator, problem: Problem) -> Gradients:
    """What the mean of an unbiased estimator must be: value and gradients of its objective."""
    if not estimator.multi_sample_bound:
        return problem.exact()
    assert isinstance(estimator, SampleEstimator)
    return exact_bound(problem, estimator.samples)


def exact_bound(problem: Problem, samples: int) -> Gradients:
    """E[-log mean exp(-f)] over that many samples and its gradients, summed tuple by tuple."""
    logits, parameters = problem.logits.requires_grad_(), problem.parameters.requires_grad_()
    p, f = problem.probabilities(logits), problem.cost(problem.states(), parameters)
    index = torch.cartesian_prod(*[torch.arange(len(p))] * samples).reshape(-1, samples)
    bound = math.log(samples) - (-f[index]).logsumexp(-1)
    value = (p[index].prod(-1) * bound).sum()
    return Gradients(value.detach(), *torch.autograd.grad(value, (logits, parameters)))
