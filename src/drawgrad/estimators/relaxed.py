"""The Gumbel-Softmax estimators: gradients through the relaxed sample."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from drawgrad.estimators._discrete import Discrete
from drawgrad.estimators._registry import register
from drawgrad.estimators._surrogate import SurrogateEstimator

__all__ = ["GumbelSoftmax", "STGumbelSoftmax"]


@register
@dataclass(frozen=True, kw_only=True)
class GumbelSoftmax(SurrogateEstimator):
    r"""Gumbel-Softmax, or Concrete: the cost of the relaxed sample, and its own gradient.

    .. math:: \partial f(y) / \partial l, \qquad y = \mathrm{softmax}((l + G) / \tau)

    Estimates: the value is the mean of f at *relaxed* samples, E[f(y)] and not E[f(D)]; the gradient is that of this
    value, also for ``tau`` if it is a tensor. A Bernoulli variable uses the binary Concrete.
    Requires: a cost that is defined and differentiable between the corners of the simplex, one evaluation a sample.
    Bias: in value and gradient, falling with ``tau``; the variance grows like tau^-2.

    Args:
        samples: draws to average over.
        tau: temperature, a positive number or a tensor that broadcasts to the logits.

    Example:
        >>> import torch
        >>> from torch.distributions import OneHotCategorical
        >>> q = OneHotCategorical(logits=torch.zeros(3, requires_grad=True))
        >>> GumbelSoftmax(tau=0.5)(lambda z: (z**2).sum(-1), q, seed=0).backward()

    References:
        Jang, Gu, Poole. Categorical reparameterization with Gumbel-Softmax. ICLR 2017.
        Maddison, Mnih, Teh. The Concrete distribution. ICLR 2017.
    """

    tau: float | Tensor = 1.0

    def surrogate(self, variable: Discrete, seed: Tensor) -> Tensor:
        return variable.relax(self.tau, False, seed)


@register
@dataclass(frozen=True, kw_only=True)
class STGumbelSoftmax(SurrogateEstimator):
    r"""Straight-through Gumbel-Softmax: the hard sample forward, the relaxed sample's gradient backward.

    .. math:: J(y)\, g(D) / \tau, \qquad D = \arg\max y, \quad y = \mathrm{softmax}((l + G) / \tau)

    Estimates: the value at the hard sample D; the gradient through y, with g = df/dD.
    Requires: the gradient of the cost, one evaluation a sample.
    Bias: some at every ``tau``.

    Args:
        samples: draws to average over.
        tau: temperature, as in :class:`GumbelSoftmax`.

    Example:
        >>> import torch
        >>> from torch.distributions import Bernoulli
        >>> q = Bernoulli(logits=torch.zeros(3, requires_grad=True))
        >>> STGumbelSoftmax(tau=0.5, samples=8)(lambda b: b.sum(-1), q, seed=0).detach() * 8 % 1
        tensor(0.)

    References:
        Jang, Gu, Poole. Categorical reparameterization with Gumbel-Softmax. ICLR 2017.
    """

    tau: float | Tensor = 1.0

    def surrogate(self, variable: Discrete, seed: Tensor) -> Tensor:
        return variable.relax(self.tau, True, seed)
