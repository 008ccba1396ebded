"""Implicit maximum likelihood: the gradient is a difference of two best subsets."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any, ClassVar

import torch
from torch import nn

from drawgrad._checks import check_count, check_nonnegative
from drawgrad._typing import Tensor
from drawgrad.estimators.base import StatefulEstimator
from drawgrad.estimators.cost import Cost
from drawgrad.estimators.loss import finite
from drawgrad.estimators.registry import register
from drawgrad.estimators.surrogate import SurrogateEstimator
from drawgrad.functional import perturb_and_map
from drawgrad.variables import Subset, bound_to_batch

__all__ = ["AdaptiveStep", "Aimle", "PerturbAndMap"]


@register
@dataclass(frozen=True, kw_only=True)
class PerturbAndMap(SurrogateEstimator):
    r"""Perturb-and-MAP, implicit maximum likelihood (I-MLE): the difference of the best sets for two weightings.

    .. math:: \frac{1}{\lambda} \big( \mathrm{top}_k(l + \tau \varepsilon) -
        \mathrm{top}_k(l + \tau \varepsilon - \lambda g(D)) \big), \qquad D = \mathrm{top}_k(l + \tau \varepsilon)

    The noise is a sum of Gamma variables, k of which add up to Gumbel noise: the noise of one class has a k-th of its
    variance. D is less random than ``KSubset`` then, and value and gradient are those of its own law, which may be far
    from the exact ones. With ``tau`` the square root of k and ``symmetric=True`` they come closer. For any other solver
    than that of the best set there is :func:`drawgrad.functional.perturb_and_map`.

    Estimates: the value at D; the gradient above, the paper's divided by lambda.
    Requires: a ``KSubset``, one evaluation a sample, the gradient of the cost.
    Bias: that of a finite difference, which rises with lambda while the variance falls, and that of the other law.

    Args:
        step: lambda, a positive number.
        tau: what the noise is multiplied with, from 0 on.
        symmetric: whether the difference is a central one, of two sets beside D.

    Example:
        >>> import torch
        >>> from drawgrad.distributions import KSubset
        >>> q = KSubset(torch.zeros(5, requires_grad=True), 2)
        >>> PerturbAndMap(step=10.0)(lambda z: (z * torch.arange(5.0)).sum(-1), q, seed=0).backward()
        >>> bool(q.logits.grad.sum() == 0)
        True

    References:
        Niepert, Minervini, Franceschi. Implicit MLE: backpropagating through discrete exponential family distributions.
        NeurIPS 2021.
    """

    step: float = 1.0
    tau: float = 1.0
    symmetric: bool = False
    hard: ClassVar[bool] = False
    compiles: ClassVar[bool] = False
    takes: ClassVar[type] = Subset

    def __post_init__(self) -> None:
        super().__post_init__()
        _check_positive(self.step, "step")
        check_nonnegative(self.tau, "tau")

    def surrogate(self, variable: Any, seed: Tensor) -> Tensor:
        return _best_set(variable, seed, step=self.step, tau=self.tau, symmetric=self.symmetric)


class AdaptiveStep(nn.Module):
    r"""A step for :func:`drawgrad.functional.perturb_and_map` that keeps gradients neither empty nor crude.

    .. math:: \lambda = \alpha\, \|\theta\| / \|g\|

    alpha grows while the gradients for theta have fewer than ``target`` entries in a row that are not zero, and shrinks
    while they have more, by ``rate`` at each backward pass in training mode. Their number is averaged over passes. The
    norms are those of all rows together, as far as they are finite.

    The defaults are those of the authors' class, with the rate of their autoencoders; the class itself has 1e-4, and
    their experiments start at ``alpha=0``.

    Args:
        alpha: where to start, from 0 on.
        target: how many entries of a row of theta shall move.
        rate: how much alpha changes in one pass.
        decay: of the average over passes, from 0 up to but not including 1.

    Example:
        >>> import torch
        >>> rule = AdaptiveStep(alpha=1.0, rate=0.1)
        >>> rule.observe(torch.zeros(4, 5))  # Nothing moved.
        >>> rule.alpha
        tensor(1.1000, dtype=torch.float64)

    References:
        Minervini, Franceschi, Niepert. Adaptive perturbation-based gradient estimation for discrete latent variable
        models. AAAI 2023.
    """

    alpha: Tensor
    moved: Tensor

    def __init__(self, alpha: float = 1.0, *, target: float = 1.0, rate: float = 1e-3, decay: float = 0.9) -> None:
        super().__init__()
        check_nonnegative(alpha, "alpha")
        _check_positive(target, "target")
        check_nonnegative(rate, "rate")
        check_nonnegative(decay, "decay")
        if decay >= 1:
            raise ValueError(f"decay must be below 1, but it is {decay!r}; the paper's code takes 0.9")
        self.target, self.rate, self.decay = target, rate, decay
        self.register_buffer("alpha", torch.tensor(float(alpha), dtype=torch.float64))
        self.register_buffer("moved", torch.tensor(float(target), dtype=torch.float64))

    def extra_repr(self) -> str:
        """The options, for ``repr``."""
        return f"target={self.target}, rate={self.rate}, decay={self.decay}"

    def size(self, theta: Tensor, grad: Tensor) -> Tensor:
        """The step for these weights and this gradient for the answer, 0-dim."""
        wide = torch.promote_types(theta.dtype, torch.float32)
        # A mask makes weights infinite, and a row may be NaN.
        norm = finite(grad.to(wide)).norm()
        ratio = finite(theta.to(wide)).norm() / torch.where(norm == 0, 1.0, norm)
        # With a step of zero nothing would ever move.
        return (self.alpha.to(ratio) * ratio).clamp_min(torch.finfo(wide).tiny ** 0.5).to(theta.dtype)

    @torch.no_grad()
    def observe(self, gradient: Tensor) -> None:
        """Learn from the gradient for theta, shape ``(..., entries of a row)``."""
        if not self.training:
            return
        count = (finite(gradient) != 0).sum(-1).double().mean().to(self.moved)
        self.moved.mul_(self.decay).add_((1 - self.decay) * count)
        change = torch.where(self.moved < self.target, self.rate, -self.rate)
        self.alpha.add_(change).clamp_min_(0.0)


@register
class Aimle(StatefulEstimator):
    r"""Adaptive implicit maximum likelihood (AIMLE): a central difference of best sets, whose step sets itself.

    .. math:: \frac{1}{2 \lambda} \big( \mathrm{top}_k(l + \tau \varepsilon + \lambda g(D)) -
        \mathrm{top}_k(l + \tau \varepsilon - \lambda g(D)) \big), \qquad \lambda = \alpha \|l\| / \|g\|

    :class:`PerturbAndMap` with an :class:`AdaptiveStep`, which learns alpha during backward passes.

    Estimates: the value at D; the gradient above.
    Requires: a ``KSubset``, one evaluation a sample, the gradient of the cost.
    Bias: as :class:`PerturbAndMap`.

    Args:
        step: the rule of the step, with options of its own; one with defaults if None.
        samples: draws to average over.
        tau: what the noise is multiplied with, from 0 on.
        symmetric: whether the difference is a central one.

    Example:
        >>> import torch
        >>> from drawgrad.distributions import KSubset
        >>> estimator = Aimle(AdaptiveStep(target=2.0))
        >>> q = KSubset(torch.randn(5, requires_grad=True), 2)
        >>> estimator(lambda z: (z * torch.arange(5.0)).sum(-1), q, seed=0).backward()

    References:
        Minervini, Franceschi, Niepert. Adaptive perturbation-based gradient estimation for discrete latent variable
        models. AAAI 2023.
    """

    unbiased: ClassVar[bool] = False
    needs_cost_gradient: ClassVar[bool] = True
    hard: ClassVar[bool] = False
    compiles: ClassVar[bool] = False
    takes: ClassVar[type] = Subset

    def __init__(
        self, step: AdaptiveStep | None = None, *, samples: int = 1, tau: float = 1.0, symmetric: bool = True
    ) -> None:
        super().__init__()
        check_count(samples, "samples", minimum=1)
        check_nonnegative(tau, "tau")
        self.step = AdaptiveStep() if step is None else step
        self.samples, self.tau, self.symmetric = samples, tau, symmetric

    def extra_repr(self) -> str:
        """The options, for ``repr``."""
        return f"samples={self.samples}, tau={self.tau}, symmetric={self.symmetric}"

    def evaluations(self, states: int, variables: int) -> int:
        """One for each sample."""
        return self.samples

    def estimate(self, cost: Cost, variable: Any, seed: Tensor) -> Tensor:
        z = _best_set(variable.expand(self.samples), seed, step=self.step, tau=self.tau, symmetric=self.symmetric)
        return cost.through(z).mean(0)


def _best_set(variable: Subset, seed: Tensor, **options: Any) -> Tensor:
    if variable.place.row:
        raise bound_to_batch(variable.q)
    solve = partial(_top, k=variable.k)
    return perturb_and_map(variable.logits, solve, k=max(variable.k, 1), seed=seed, **options)


def _top(logits: Tensor, k: int) -> Tensor:
    """The set of the k largest logits."""
    return torch.zeros_like(logits).scatter(-1, logits.topk(k, -1)[1], 1.0)


def _check_positive(value: float, name: str) -> None:
    check_nonnegative(value, name)
    if not value:
        raise ValueError(f"{name} must be positive, but it is {value!r}; give a larger number")
