"""Straight-through estimators: a hard sample forward, the Jacobian of a softmax backward."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from drawgrad._checks import check_nonnegative
from drawgrad.estimators.registry import register
from drawgrad.estimators.surrogate import StraightThroughEstimator
from drawgrad.variables import Relaxable

__all__ = ["GappedStraightThrough", "SlopeAnnealedStraightThrough", "StraightThrough"]


@register
@dataclass(frozen=True, kw_only=True)
class StraightThrough(StraightThroughEstimator):
    r"""Straight-through: the gradient of the probabilities in place of the sample's.

    .. math:: J(\pi)\, g(D), \qquad J(p) = \mathrm{diag}(p) - p p^\top

    Estimates: the value at the hard sample D; the gradient through pi = softmax(l), with g = df/dD.
    Requires: the gradient of the cost, one evaluation a sample.
    Bias: none for a linear cost; a quadratic one is biased already.

    Args:
        samples: draws to average over.

    Example:
        >>> import torch
        >>> from torch.distributions import OneHotCategorical
        >>> q = OneHotCategorical(logits=torch.zeros(3, requires_grad=True))
        >>> costs = torch.tensor([0.0, 1.0, 5.0])
        >>> loss = StraightThrough(samples=4)(lambda z: (z * costs).sum(-1), q, seed=0)
        >>> torch.autograd.grad(loss, q.logits)[0]
        tensor([-0.6667, -0.3333,  1.0000])

    References:
        Bengio, Leonard, Courville. Estimating or propagating gradients through stochastic neurons. 2013.
    """

    holds_sample: ClassVar[bool] = False

    def pullback(self, variable: Relaxable, index: Tensor, grad: Tensor, seed: Tensor) -> Tensor:
        return variable.jacobian(variable.probs(), grad)


@register
@dataclass(frozen=True, kw_only=True)
class SlopeAnnealedStraightThrough(StraightThroughEstimator):
    r"""Slope-annealed straight-through: the softmax of the backward pass becomes steeper as training goes on.

    .. math:: J(\pi_\tau)\, g(D) / \tau, \qquad \pi_\tau = \mathrm{softmax}(l / \tau), \quad D \sim \pi

    Estimates: the value at the hard sample D of q; the gradient through pi_tau, whose slope is 1/tau.
    Requires: the gradient of the cost, one evaluation a sample.
    Bias: some; it is :class:`StraightThrough` at ``tau=1``.

    Args:
        samples: draws to average over.
        tau: one over the slope; take it from a schedule that falls.

    Example:
        >>> from drawgrad.schedules import exponential
        >>> tau = exponential(initial=1.0, rate=1e-4, floor=0.2)
        >>> SlopeAnnealedStraightThrough(tau=tau(0))
        SlopeAnnealedStraightThrough(samples=1, tau=1.0)

    References:
        Chung, Ahn, Bengio. Hierarchical multiscale recurrent neural networks. ICLR 2017.
    """

    tau: float | Tensor = 1.0
    temperature: ClassVar[str | None] = "tau"
    holds_sample: ClassVar[bool] = False

    def pullback(self, variable: Relaxable, index: Tensor, grad: Tensor, seed: Tensor) -> Tensor:
        return variable.jacobian(variable.probs(self.tau), grad) / self.tau


@register
@dataclass(frozen=True, kw_only=True)
class GappedStraightThrough(StraightThroughEstimator):
    r"""Gapped straight-through: logits that are moved, without noise, until the sample is their clear winner.

    .. math:: J(y)\, g(D) / \tau, \qquad y = \mathrm{softmax}(m / \tau), \quad
        m_D = \max_i l_i, \quad m_j = \min(l_j, \max_i l_i - \mathrm{gap})

    Estimates: the value at the hard sample D; the gradient through y, in which the moves are constants.
    Requires: the gradient of the cost, one evaluation a sample.
    Bias: some at every ``tau``. No noise enters the backward pass, unlike straight-through Gumbel-Softmax.

    Args:
        samples: draws to average over.
        tau: temperature.
        gap: by how much the sample's logit leads, in nats.

    Example:
        >>> import torch
        >>> from torch.distributions import OneHotCategorical
        >>> q = OneHotCategorical(logits=torch.zeros(3, requires_grad=True))
        >>> GappedStraightThrough(gap=1.0)(lambda z: (z**2).sum(-1), q, seed=0).detach()
        tensor(1.)

    References:
        Fan, Chi, Rudnicky, Ramadge. Training discrete deep generative models via gapped straight-through estimator.
        ICML 2022.
    """

    tau: float | Tensor = 1.0
    temperature: ClassVar[str | None] = "tau"
    gap: float = 1.0

    def __post_init__(self) -> None:
        super().__post_init__()
        check_nonnegative(self.gap, "gap")

    def pullback(self, variable: Relaxable, index: Tensor, grad: Tensor, seed: Tensor) -> Tensor:
        y = variable.squash(separated(variable, index, self.gap) / self.tau)
        return variable.jacobian(y, grad) / self.tau


def separated(variable: Relaxable, index: Tensor, gap: float) -> Tensor:
    """Logits, up to a shift, moved as little as it takes for the sample's class to lead all others by ``gap``."""
    log_pi, winner = variable.log_probs(), variable.number(index)[..., None]
    top = log_pi.amax(-1, keepdim=True)
    return variable.from_scores(torch.minimum(log_pi, top - gap).scatter(-1, winner, top))
