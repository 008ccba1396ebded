"""Problems whose exact gradient is known, and the comparison of estimators on them."""

from __future__ import annotations

import torch

from drawgrad.diagnostics import Report, compare
from drawgrad.estimators import Estimator
from tests.estimators.problems import Problem

__all__ = ["BINARY", "CATEGORICAL", "compared"]

BINARY = Problem("neural", 2, 3, binary=True)
CATEGORICAL = Problem("neural", 3, 2)


def compared(problem: Problem, *estimators: Estimator, draws: int = 4000, **options: object) -> Report:
    parameters, q = problem.parameters, problem.distribution(problem.logits)
    generator = torch.Generator().manual_seed(5)
    return compare(estimators, lambda z: problem.cost(z, parameters), q, draws=draws, generator=generator, **options)
