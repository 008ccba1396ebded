"""Estimators that a straight line or a trapezoid explains: exact for costs of second order, or for some of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
from torch import Tensor

from drawgrad.estimators.registry import register
from drawgrad.estimators.surrogate import StraightThroughEstimator
from drawgrad.variables import Relaxable

__all__ = ["ZGR", "Darn", "ReinMax"]


@register
@dataclass(frozen=True, kw_only=True)
class Darn(StraightThroughEstimator):
    r"""DARN: the score function with a baseline that a Taylor expansion of the cost yields.

    .. math:: (f(D) - b)(D - \pi), \quad b = f(D) + g(D)^\top (z_0 - D) \quad\Rightarrow\quad
        (D - \pi)\, (D - z_0)^\top g(D)

    The expansion is about the sample D and is evaluated at z_0. (Where the literature writes it about z_0,
    b = f(z_0) + f'(z_0)(D - z_0), and drops the correction term that :class:`MuProp` adds, the estimate is zero for
    every linear cost, which the paper does not intend.)

    Estimates: the value at the hard sample D; the gradient above, for each variable with its own part of g.
    Requires: the gradient of the cost, one evaluation a sample.
    Bias: depends on the point z_0. At the uniform point it is exact for quadratic costs of Bernoulli variables (z_0 =
    1/2, the paper's case, where it is :class:`ZGR` draw by draw), but from three classes on not even for all linear and
    quadratic costs together. At the mean pi it is exact for linear costs, and its average with :class:`StraightThrough`
    is ZGR, for any number of classes.

    Args:
        samples: draws to average over.
        point: z_0, the ``"mean"`` pi or the ``"uniform"`` probabilities 1/K.

    Example:
        >>> import torch
        >>> from torch.distributions import Bernoulli
        >>> q = Bernoulli(logits=torch.zeros((), requires_grad=True))
        >>> loss = Darn(point="uniform")(lambda b: b**2, q)
        >>> torch.autograd.grad(loss, q.logits)[0] in (0.0, 0.5)  # with mean 1/4, the exact gradient
        True

    References:
        Gregor, Danihelka, Mnih, Blundell, Wierstra. Deep autoregressive networks. ICML 2014.
        Shekhovtsov. Cold analysis of Rao-Blackwellized straight-through Gumbel-Softmax gradient estimator. ICML 2023.
    """

    point: Literal["mean", "uniform"] = "mean"

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.point not in ("mean", "uniform"):
            raise ValueError(f"point must be 'mean' or 'uniform', but it is {self.point!r}; 'mean' is the default")

    def pullback(self, variable: Relaxable, index: Tensor, grad: Tensor, seed: Tensor) -> Tensor:
        pi = variable.probs()
        point = pi if self.point == "mean" else torch.full_like(pi, 1 / variable.states)
        hard = variable.sample_of(index)
        signal = variable.inner(hard, grad) - variable.inner(point, grad)
        return hard * signal - pi * signal


@register
@dataclass(frozen=True, kw_only=True)
class ZGR(StraightThroughEstimator):
    r"""ZGR: what Gumbel-Rao becomes at temperature zero, in closed form.

    .. math:: [\tfrac12 J(\pi) + \tfrac12 (D - \pi)(D - \pi)^\top]\, g(D)

    Estimates: the value at the hard sample D; the gradient above, the average of straight-through and DARN.
    Requires: the gradient of the cost, one evaluation a sample.
    Bias: none for a quadratic cost.

    Args:
        samples: draws to average over.

    Example:
        >>> import torch
        >>> from torch.distributions import OneHotCategorical
        >>> q = OneHotCategorical(logits=torch.zeros(3, requires_grad=True))
        >>> ZGR()(lambda z: (z**2).sum(-1), q, seed=0).detach()
        tensor(1.)

    References:
        Shekhovtsov. Cold analysis of Rao-Blackwellized straight-through Gumbel-Softmax gradient estimator. ICML 2023.
    """

    def pullback(self, variable: Relaxable, index: Tensor, grad: Tensor, seed: Tensor) -> Tensor:
        # The bracket of the formula, times g, without its terms that cancel.
        pi, hard = variable.probs(), variable.sample_of(index)
        reached = 0.5 * variable.inner(hard, grad)
        return pi * (0.5 * grad - reached) + hard * (reached - 0.5 * variable.inner(pi, grad))


@register
@dataclass(frozen=True, kw_only=True)
class ReinMax(StraightThroughEstimator):
    r"""ReinMax: Heun's trapezoid where straight-through takes Euler's step.

    .. math:: [2 J(\tfrac12(\pi_\tau + D)) - \tfrac12 J(\pi)]\, g(D), \qquad \pi_\tau = \mathrm{softmax}(l / \tau)

    Estimates: the value at the hard sample D of pi; the gradient above.
    Requires: the gradient of the cost, one evaluation a sample.
    Bias: none for a quadratic cost at ``tau=1``, where it is :class:`ZGR`.

    Args:
        samples: draws to average over.
        tau: temperature of the backward pass; values from 1 on trade bias for variance.

    Example:
        >>> import torch
        >>> from torch.distributions import OneHotCategorical
        >>> q = OneHotCategorical(logits=torch.zeros(3, requires_grad=True))
        >>> z = ReinMax(tau=1.1).rsample(q, seed=0)  # a sample for a layer, with this gradient
        >>> z.sum(-1).detach()
        tensor([1.])

    References:
        Liu, Dong, Liu, Yu, Gao. Bridging discrete and backpropagation: straight-through and beyond. NeurIPS 2023.
    """

    tau: float | Tensor = 1.0
    temperature: ClassVar[str | None] = "tau"

    def pullback(self, variable: Relaxable, index: Tensor, grad: Tensor, seed: Tensor) -> Tensor:
        pi = variable.probs()
        flat = pi if isinstance(self.tau, float) and self.tau == 1.0 else variable.probs(self.tau)
        hard = variable.sample_of(index)
        reached = variable.inner(hard, grad)
        # 2 J(p) g with p = (pi_tau + D) / 2: p^T g once, then the parts of pi_tau and of D.
        mean = 0.5 * (variable.inner(flat, grad) + reached)
        return flat * (grad - mean) + hard * (reached - mean) - 0.5 * variable.jacobian(pi, grad)
