"""Leave-one-out with control variates that samples make for each other: what DoubleCV and RODEO share."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from dataclasses import replace
from typing import Any, ClassVar

import torch
from torch import Tensor

from drawgrad._checks import check_count
from drawgrad.estimators.base import StatefulEstimator
from drawgrad.estimators.control_variate.coupled import descending
from drawgrad.estimators.cost import Cost
from drawgrad.estimators.loss import excess, finite, spread, sum_variables, with_gradient
from drawgrad.kernels.state import is_transformed
from drawgrad.variables import Relaxable

__all__ = ["CrossedEstimator"]


class CrossedEstimator(StatefulEstimator):
    r"""Leave-one-out plus something of mean zero, which costs and slopes at the samples make up.

    .. math:: \frac1S \sum_s \Big(f(D_s) - \frac{1}{S - 1} \sum_{j \ne s} f(D_j)\Big) (D_s - \pi) + c

    What is added to the part of a sample may depend on the others in any way, as long as its mean over that sample is
    zero. The estimate is unbiased whatever the parameters of c are, so the gradient of its variance for them is that of
    its square, which a single draw estimates. It is the gradient of the loss for these parameters, but not inside the
    transforms of ``torch.func``, where they are constants.

    Args:
        samples: S, from 2 on.
    """

    unbiased: ClassVar[bool] = True
    needs_cost_gradient: ClassVar[bool] = True
    takes: ClassVar[type] = Relaxable
    fewest_samples: ClassVar[int] = 2
    transforms: ClassVar[bool] = False
    compiles: ClassVar[bool] = False

    def __init__(self, *, samples: int) -> None:
        super().__init__()
        check_count(samples, "samples", minimum=self.fewest_samples)
        self.samples = samples

    @abstractmethod
    def control(self, variable: Relaxable, z: Tensor, costs: Tensor, slope: Tensor) -> Tensor:
        """The control variate c, like the logits, differentiable for the parameters of this estimator.

        Args:
            variable: the variables, detached, ``samples`` times along a first dimension.
            z: samples, shape ``(samples, *logits)``.
            costs: their costs, shape ``(samples, *lead)``; zero where they are not finite.
            slope: the gradient of the costs, like ``z``; zero where it is not finite.
        """

    def evaluations(self, states: int, variables: int) -> int:
        """One for each sample."""
        return self.samples

    def estimate(self, cost: Cost, variable: Relaxable, seed: Tensor) -> Tensor:
        drawn = variable.computed().expand(self.samples)
        index = drawn.draw(seed)
        z = variable.sample_of(index)
        if not variable.learns:
            return cost(z).mean(0)
        # A graph of its own, for compiled code cannot differentiate halfway.
        costs, slope = _eagerly(cost.differentiated)(z)
        fixed = replace(drawn, logits=drawn.logits.detach())
        z = fixed.sample_of(index)
        known, slope = costs.detach().to(z.dtype), slope.to(z.dtype)
        base = (spread(excess(known), z) * (z - fixed.probs())).mean(0)
        control = _eagerly(self.control)(fixed, z, finite(known), finite(slope))
        found = base + control.detach()
        loss = with_gradient(costs, found[None], variable.logits)
        if is_transformed() or not control.requires_grad:
            return loss
        # A draw that is not finite takes no part.
        square = sum_variables(2 * finite(found)[None] * control[None], costs)[0]
        return loss + descending(torch.where(square.isfinite(), square, 0.0)).to(loss.dtype)

    def extra_repr(self) -> str:
        """What the module prints of itself."""
        return f"samples={self.samples}"


def _eagerly(function: Callable[..., Any]) -> Callable[..., Any]:
    """The same function; in compiled code, one that is not compiled."""
    return torch.compiler.disable(function) if torch.compiler.is_compiling() else function
