"""Estimators that only the tests know: a short right one, and two wrong ones that every check must reject."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from drawgrad.estimators import Cost, SampleEstimator, gradient_only, sum_variables
from drawgrad.variables import Scored

__all__ = ["PlainScore", "WrongParameters", "WrongScore"]


@dataclass(frozen=True, kw_only=True)
class PlainScore(SampleEstimator):
    """A score function estimator without a baseline, as short as the base allows."""

    unbiased: ClassVar[bool] = True
    needs_cost_gradient: ClassVar[bool] = False
    takes: ClassVar[type] = Scored

    def estimate(self, cost: Cost, variable: Scored, seed: Tensor) -> Tensor:
        drawn = variable.expand(self.samples)
        index = drawn.draw(seed)
        costs = cost(drawn.sample_of(index))
        score = sum_variables(drawn.log_prob(index), costs)
        return (costs + gradient_only(costs.detach() * score)).mean(0)


@dataclass(frozen=True, kw_only=True)
class WrongScore(PlainScore):
    """Known to be wrong: the score is too small by a quarter."""

    def estimate(self, cost: Cost, variable: Scored, seed: Tensor) -> Tensor:
        drawn = variable.expand(self.samples)
        index = drawn.draw(seed)
        costs = cost(drawn.sample_of(index))
        return (costs + gradient_only(0.75 * costs.detach() * sum_variables(drawn.log_prob(index), costs))).mean(0)


@dataclass(frozen=True, kw_only=True)
class WrongParameters(PlainScore):
    """Known to be wrong: the cost's own parameters get their gradient twice."""

    def estimate(self, cost: Cost, variable: Scored, seed: Tensor) -> Tensor:
        drawn = variable.expand(self.samples)
        index = drawn.draw(seed)
        costs = cost(drawn.sample_of(index))
        score = sum_variables(drawn.log_prob(index), costs)
        return (costs + gradient_only(costs * score) + gradient_only(costs)).mean(0)
