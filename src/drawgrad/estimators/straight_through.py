"""Straight-through estimators: a hard sample forward, the Jacobian of a softmax backward."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from drawgrad.estimators._discrete import Discrete
from drawgrad.estimators._registry import register
from drawgrad.estimators._surrogate import StraightThroughEstimator

__all__ = ["StraightThrough"]


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
        >>> loss = StraightThrough(samples=4)(lambda z: (z * torch.arange(3.0)).sum(-1), q, seed=0)
        >>> torch.autograd.grad(loss, q.logits)[0]
        tensor([-0.3333,  0.0000,  0.3333])

    References:
        Bengio, Leonard, Courville. Estimating or propagating gradients through stochastic neurons. 2013.
    """

    def pullback(self, variable: Discrete, code: Tensor, grad: Tensor, seed: Tensor) -> Tensor:
        return variable.jacobian(variable.probs(), grad)
