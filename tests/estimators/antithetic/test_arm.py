"""ARM and DisARM, pair by pair from the noise."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from drawgrad.estimators import Arm, DisArm, Estimator
from drawgrad.functional import logistic_noise
from tests.estimators.orders import assert_less_error
from tests.estimators.problems import Problem

BINARY = [Problem("quadratic", 2, 1, True), Problem("polynomial", 2, 2, True), Problem("neural", 2, 3, True)]
each_binary = pytest.mark.parametrize("problem", BINARY, ids=lambda problem: problem.name)


def gradient(estimator: Estimator, problem: Problem, draws: int) -> Tensor:
    return problem.estimates(estimator, draws, seed=3).logits


class TestPairs:
    """The antithetic pairs of ARM and DisARM, one by one from the noise."""

    @staticmethod
    def loop(problem: Problem, draws: int, weight: Callable[[float, float, float, float], float]) -> Tensor:
        noise = logistic_noise((1, draws, problem.variables), dtype=torch.float64, seed=3)[0]
        found = torch.zeros(draws, problem.variables, dtype=torch.float64)
        for row in range(draws):
            u = noise[row].sigmoid()
            b = (u > (-problem.logits).sigmoid()).double()
            other = (u < problem.logits.sigmoid()).double()
            difference = problem.cost(b, problem.parameters) - problem.cost(other, problem.parameters)
            for variable in range(problem.variables):
                logit = problem.logits[variable].item()
                values = u[variable].item(), b[variable].item(), other[variable].item()
                found[row, variable] = difference * weight(logit, *values)
        return found

    @each_binary
    def test_of_arm(self, problem: Problem) -> None:
        expected = self.loop(problem, 40, lambda logit, u, b, other: u - 0.5)
        torch.testing.assert_close(gradient(Arm(), problem, 40), expected)

    @each_binary
    def test_of_disarm(self, problem: Problem) -> None:
        def weight(logit: float, u: float, b: float, other: float) -> float:
            return 0.5 * (-1) ** int(other) * (b != other) / (1 + math.exp(-abs(logit)))

        torch.testing.assert_close(gradient(DisArm(), problem, 40), self.loop(problem, 40, weight))

    @each_binary
    def test_of_disarm_have_the_mean_of_arm_and_less_variance(self, problem: Problem) -> None:
        assert_less_error(problem, DisArm(), Arm(), draws=20_000)

    @each_binary
    def test_of_arm_have_not(self, problem: Problem) -> None:
        with pytest.raises(AssertionError, match="differ by less than"):
            assert_less_error(problem, Arm(), DisArm(), draws=20_000)
