"""Comparisons of estimators by the mean squared error of their gradients, with a margin from standard errors."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from drawgrad.estimators import Estimator
from tests.estimators.problems import Problem

__all__ = ["FarFromZero", "assert_less_error", "squared_errors"]

MARGIN = 5.0
"""Standard errors between two mean squared errors: a false alarm in 3 of 10 million."""


@dataclass(frozen=True)
class FarFromZero(Problem):
    """The same problem with ten added to every cost."""

    def cost(self, z: Tensor, parameters: Tensor) -> Tensor:
        return super().cost(z, parameters) + 10


def squared_errors(problem: Problem, estimator: Estimator, draws: int, seed: int) -> Tensor:
    """Squared error of the gradient for all logits together, one number a draw."""
    found = problem.estimates(estimator, draws, seed).logits
    return ((found - problem.exact().logits) ** 2).flatten(1).sum(-1)


def assert_less_error(problem: Problem, better: Estimator, worse: Estimator, draws: int = 4000) -> None:
    """Check that one estimator has less mean squared error than another one, from independent draws."""
    small, large = (squared_errors(problem, estimator, draws, seed) for seed, estimator in ((1, better), (2, worse)))
    error = torch.sqrt(small.var() / draws + large.var() / draws)
    assert large.mean() - small.mean() > MARGIN * error, (
        f"mean squared errors {small.mean():.4g} and {large.mean():.4g} differ by less than {MARGIN} times {error:.2g}"
    )
