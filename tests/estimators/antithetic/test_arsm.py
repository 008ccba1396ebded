"""ARSM against its definition."""

from __future__ import annotations

import itertools

import pytest
import torch
from torch import Tensor
from torch.distributions import OneHotCategorical

from drawgrad.estimators import Arsm, Estimator
from drawgrad.functional import gumbel_noise
from tests.estimators.problems import Problem


def gradient(estimator: Estimator, problem: Problem, draws: int) -> Tensor:
    return problem.estimates(estimator, draws, seed=3).logits


class TestSwaps:
    @pytest.mark.parametrize("problem", [Problem("neural", 3, 2), Problem("quadratic", 4, 1)], ids=lambda p: p.name)
    def test_are_those_of_the_definition(self, problem: Problem) -> None:
        draws, classes, variables = 10, problem.classes, problem.variables
        noise = gumbel_noise((1, draws, variables, classes), dtype=torch.float64, seed=3)[0]
        expected = torch.zeros(draws, variables, classes, dtype=torch.float64)
        for row in range(draws):
            exponential = (-noise[row]).exp()
            simplex = exponential / exponential.sum(-1, keepdim=True)

            def cost(c: int, j: int, simplex: Tensor = simplex) -> Tensor:
                swapped = simplex.clone()
                swapped[:, c], swapped[:, j] = simplex[:, j], simplex[:, c]
                index = (swapped.log() - problem.logits).argmin(-1)
                return problem.cost(torch.eye(classes, dtype=torch.float64)[index], problem.parameters)

            for c, j in itertools.product(range(classes), repeat=2):
                mean = sum(cost(m, j) for m in range(classes)) / classes
                expected[row, :, c] += (cost(c, j) - mean) * (1 / classes - simplex[:, j])
        torch.testing.assert_close(gradient(Arsm(), problem, draws), expected)

    def test_of_a_masked_class_stay_finite(self) -> None:
        logits = torch.tensor([[0.0, -torch.inf, 1.0]]).repeat(50, 1).requires_grad_()
        loss = Arsm()(lambda z: z[..., 2], OneHotCategorical(logits=logits, validate_args=False), seed=0)
        loss.sum().backward()
        assert logits.grad is not None
        assert bool(logits.grad.isfinite().all())
