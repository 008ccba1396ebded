"""The Gumbel-Softmax estimators: gradients through the relaxed sample."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

from torch import Tensor

from drawgrad._checks import check_temperature
from drawgrad.estimators.registry import register
from drawgrad.estimators.surrogate import StraightThroughEstimator, SurrogateEstimator
from drawgrad.variables import Relaxable

__all__ = ["DecoupledSTGumbelSoftmax", "GumbelSoftmax", "STGumbelSoftmax"]


@register
@dataclass(frozen=True, kw_only=True)
class GumbelSoftmax(SurrogateEstimator):
    r"""Gumbel-Softmax, or Concrete: the cost of the relaxed sample, and its own gradient.

    .. math:: \partial f(y) / \partial l, \qquad y = \mathrm{softmax}((l + G) / \tau)

    Estimates: the value is the mean of f at *relaxed* samples, E[f(y)] and not E[f(D)]; the gradient is that of this
    value, also for ``tau`` if it is a tensor. A Bernoulli variable uses the binary Concrete.
    Requires: a cost that is defined and differentiable between the corners of the simplex, one evaluation a sample.
    Bias: in value and gradient, falling with ``tau``, while the variance grows like 1/tau.

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
    temperature: ClassVar[str | None] = "tau"
    hard: ClassVar[bool] = False

    def surrogate(self, variable: Relaxable, seed: Tensor) -> Tensor:
        # A copy, for the cost may work in place, and backward needs the sample.
        return variable.relax(self.tau, False, seed).clone()


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
    temperature: ClassVar[str | None] = "tau"

    def surrogate(self, variable: Relaxable, seed: Tensor) -> Tensor:
        return variable.relax(self.tau, True, seed)


@register
@dataclass(frozen=True, kw_only=True)
class DecoupledSTGumbelSoftmax(StraightThroughEstimator):
    r"""Straight-through Gumbel-Softmax with a temperature for the forward pass and one for the backward pass.

    .. math:: J(y)\, g(D) / \tau_b, \qquad D = \arg\max (l / \tau_f + G), \quad
        y = \mathrm{softmax}(l / \tau_b + G)

    The temperatures divide the logits and not the noise, as in the paper: divided by a temperature together, logits and
    noise would give the same D at any of them, and the forward one would be without effect.

    Estimates: the value at a hard sample of softmax(l / tau_f), which is a sample of q for ``forward_tau=1`` only; the
    gradient through y, with the same noise.
    Requires: the gradient of the cost, one evaluation a sample.
    Bias: some at every temperature; with both at 1 it is :class:`STGumbelSoftmax` at ``tau=1``.

    Args:
        samples: draws to average over.
        forward_tau: temperature of the sample; below 1 it is drawn more greedily than q.
        backward_tau: temperature of the Jacobian.

    Example:
        >>> import torch
        >>> from torch.distributions import OneHotCategorical
        >>> q = OneHotCategorical(logits=torch.tensor([0.0, 1.0]))
        >>> DecoupledSTGumbelSoftmax(forward_tau=1e-3)(lambda z: z[..., 1], q)
        tensor(1.)

    References:
        Shah, Yan, Mozer, Liu. Improving discrete optimisation via decoupled straight-through Gumbel-Softmax.
        arXiv 2410.13331, 2024.
    """

    forward_tau: float | Tensor = 1.0
    backward_tau: float | Tensor = 1.0
    temperature: ClassVar[str | None] = "backward_tau"
    holds_sample: ClassVar[bool] = False

    def __post_init__(self) -> None:
        super().__post_init__()
        check_temperature(self.forward_tau, "for the most probable class use argmax", "forward_tau")

    def draw(self, variable: Relaxable, seed: Tensor) -> Tensor:
        return replace(variable, logits=variable.logits / self.forward_tau).draw(seed)

    def pullback(self, variable: Relaxable, index: Tensor, grad: Tensor, seed: Tensor) -> Tensor:
        y = replace(variable, logits=variable.logits / self.backward_tau).relax(1.0, False, seed)
        return variable.jacobian(y, grad) / self.backward_tau
