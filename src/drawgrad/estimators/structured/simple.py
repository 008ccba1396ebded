"""Samples of subsets whose gradient goes through the marginals, or through a relaxed set."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from drawgrad._typing import Tensor
from drawgrad.estimators.registry import register
from drawgrad.estimators.surrogate import SurrogateEstimator
from drawgrad.functional import relaxed_top_k, straight_through
from drawgrad.variables import Subset, aligned

__all__ = ["STGumbelTopK", "Simple"]


@register
@dataclass(frozen=True, kw_only=True)
class Simple(SurrogateEstimator):
    r"""SIMPLE: an exact subset forward, the gradient of its exact marginals backward.

    .. math:: \frac{\partial \mu(l)}{\partial l}\, g(D), \qquad \mu_i = P(i \in D)

    The straight-through estimator of subsets: for k = 1 it is :class:`StraightThrough`.

    Estimates: the value at the sample; the gradient above.
    Requires: a ``KSubset``, one evaluation a sample, the gradient of the cost.
    Bias: none for costs that are linear in z.

    Example:
        >>> import torch
        >>> from drawgrad.distributions import KSubset
        >>> q = KSubset(torch.zeros(5, requires_grad=True), 2)
        >>> Simple()(lambda z: (z * torch.arange(5.0)).sum(-1), q, seed=0).backward()
        >>> q.logits.grad.round(decimals=4) + 0.0
        tensor([-0.6000, -0.3000,  0.0000,  0.3000,  0.6000])

    References:
        Ahmed, Zeng, Niepert, Van den Broeck. SIMPLE: a gradient estimator for k-subset sampling. ICLR 2023.
    """

    takes: ClassVar[type] = Subset

    def surrogate(self, variable: Any, seed: Tensor) -> Tensor:
        return straight_through(variable.sample_of(variable.draw(seed)), variable.mean())


@register
@dataclass(frozen=True, kw_only=True)
class STGumbelTopK(SurrogateEstimator):
    r"""Straight-through Gumbel-top-k: the k largest perturbed logits forward, the relaxed set of that noise backward.

    .. math:: \frac{\partial y}{\partial l}\, g(D), \qquad D = \mathrm{top}_k(l + g), \quad
        y \text{ as in } \mathtt{relaxed\_top\_k}

    D is drawn class by class without replacement, which is not quite the law of ``KSubset`` for 1 < k < K: value and
    gradient are those of that other law.

    Estimates: the value at D; the gradient above.
    Requires: a ``KSubset``, one evaluation a sample, the gradient of the cost.
    Bias: that of the relaxation, which falls with tau while the variance rises, and that of the other law.

    Args:
        tau: temperature of the backward pass, a positive number, or a tensor that may require a gradient.

    Example:
        >>> import torch
        >>> from drawgrad.distributions import KSubset
        >>> q = KSubset(torch.zeros(5, requires_grad=True), 2)
        >>> z = STGumbelTopK(tau=0.5).rsample(q, seed=0)
        >>> z.sum(-1), z.requires_grad
        (tensor([2.], grad_fn=<SumBackward1>), True)

    References:
        Xie, Ermon. Reparameterizable subset sampling via continuous relaxations. IJCAI 2019.
    """

    tau: float | Tensor = 1.0
    hard: ClassVar[bool] = False
    temperature: ClassVar[str | None] = "tau"
    takes: ClassVar[type] = Subset

    def surrogate(self, variable: Any, seed: Tensor) -> Tensor:
        tau = aligned(self.tau, variable.logits)
        return variable.drawn(relaxed_top_k, variable.logits, seed, variable.k, tau, True)
