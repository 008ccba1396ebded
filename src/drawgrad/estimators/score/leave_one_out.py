"""Leave-one-out: several samples that are each other's baseline."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from drawgrad.estimators.base import SampleEstimator
from drawgrad.estimators.cost import Cost
from drawgrad.estimators.loss import excess, score_loss, sum_variables
from drawgrad.estimators.registry import register
from drawgrad.variables import Scored

__all__ = ["LeaveOneOut"]


@register
@dataclass(frozen=True, kw_only=True)
class LeaveOneOut(SampleEstimator):
    r"""Leave-one-out (RLOO, VarGrad): each sample's baseline is the mean cost of the others.

    .. math:: \frac1S \sum_s (f(D_s) - b_s)\, \partial \log q(D_s) / \partial \theta, \qquad
        b_s = \frac1{S - 1} \sum_{j \ne s} f(D_j)

    Estimates: the value at the samples D; the gradient above.
    Requires: a ``q`` with ``log_prob`` (discrete or not), two samples at least, one evaluation a sample, no gradient of
    the cost.
    Bias: none.

    Args:
        samples: S, from 2 on.

    Example:
        >>> import torch
        >>> from torch.distributions import Normal
        >>> q = Normal(torch.zeros(3, requires_grad=True), 1.0)
        >>> LeaveOneOut(samples=4)(lambda z: z.round().sum(-1), q, seed=0).backward()  # no gradient of the cost needed

    References:
        Kool, van Hoof, Welling. Buy 4 REINFORCE samples, get a baseline for free! ICLR workshop, 2019.
        Richter, Boustati, Nüsken, Ruiz, Akyildiz. VarGrad: a low-variance gradient estimator for variational inference.
        NeurIPS 2020.
    """

    samples: int = 2
    fewest_samples: ClassVar[int] = 2
    unbiased: ClassVar[bool] = True
    twice_differentiable: ClassVar[bool] = True
    needs_cost_gradient: ClassVar[bool] = False
    takes: ClassVar[type] = Scored

    def estimate(self, cost: Cost, variable: Scored, seed: Tensor) -> Tensor:
        drawn = variable.expand(self.samples)
        index = drawn.draw(seed)
        costs = cost(drawn.sample_of(index))
        return score_loss(costs, excess(costs.detach()), sum_variables(drawn.log_prob(index), costs))
