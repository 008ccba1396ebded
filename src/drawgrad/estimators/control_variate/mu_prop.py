"""MuProp: the score function of what a Taylor expansion leaves over."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from drawgrad.estimators.base import SampleEstimator
from drawgrad.estimators.cost import Cost
from drawgrad.estimators.loss import first_order, sum_variables
from drawgrad.estimators.registry import register
from drawgrad.variables import Relaxable

__all__ = ["MuProp"]


@register
@dataclass(frozen=True, kw_only=True)
class MuProp(SampleEstimator):
    r"""MuProp: a Taylor expansion about the mean as baseline, with its own gradient added back.

    .. math:: (f(D) - f(\pi) - f'(\pi)^\top (D - \pi))\,(D - \pi) + J(\pi)\, f'(\pi)

    With several variables that share a cost, f'(pi) runs over all of them, and each variable has its own D - pi.

    Estimates: the value at the hard samples D; the gradient above.
    Requires: a cost that is defined and differentiable at the mean pi as well; one evaluation a sample and one at pi.
    Bias: none.

    Args:
        samples: draws to average over; they share the evaluation at the mean.

    Example:
        >>> import torch
        >>> from torch.distributions import OneHotCategorical
        >>> q = OneHotCategorical(logits=torch.zeros(3, requires_grad=True))
        >>> costs = torch.tensor([0.0, 1.0, 5.0])
        >>> loss = MuProp()(lambda z: (z * costs).sum(-1), q)  # exact for a linear cost, whatever is drawn
        >>> torch.autograd.grad(loss, q.logits)[0]
        tensor([-0.6667, -0.3333,  1.0000])

    References:
        Gu, Levine, Sutskever, Mnih. MuProp: unbiased backpropagation for stochastic neural networks. ICLR 2016.
    """

    unbiased: ClassVar[bool] = True
    needs_cost_gradient: ClassVar[bool] = True
    takes: ClassVar[type] = Relaxable
    compiles: ClassVar[bool] = False

    def evaluations(self, states: int, variables: int) -> int:
        """One for each sample, and one at the mean."""
        return self.samples + 1

    def estimate(self, cost: Cost, variable: Relaxable, seed: Tensor) -> Tensor:
        drawn = variable.expand(self.samples)
        index = drawn.draw(seed)
        costs = cost(drawn.sample_of(index))
        if not variable.learns:
            return costs.mean(0)
        pi = variable.expand(1).probs()
        mean = pi.detach()
        at_mean, slope = cost.gradient(mean)

        def along_slope(x: Tensor) -> Tensor:
            return sum_variables(slope * x, costs)

        rest = costs.detach() - at_mean - along_slope(drawn.sample_of(index) - mean)
        score = sum_variables(drawn.log_prob(index), costs)
        return (costs + first_order(rest * score, costs)).mean(0) + first_order(along_slope(pi), costs)[0]
