"""Estimators from antithetic pairs of binary samples."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from drawgrad.estimators.base import SampleEstimator
from drawgrad.estimators.cost import Cost
from drawgrad.estimators.loss import spread, with_gradient
from drawgrad.estimators.registry import register
from drawgrad.variables import Binary, logistic_noise_like

__all__ = ["Arm", "DisArm"]


@dataclass(frozen=True, kw_only=True)
class AntitheticEstimator(SampleEstimator):
    """An estimator from pairs of Bernoulli samples b and b~, drawn with logistic noise x and with -x."""

    unbiased: ClassVar[bool] = True
    needs_cost_gradient: ClassVar[bool] = False
    takes: ClassVar[type] = Binary

    @abstractmethod
    def weight(self, logits: Tensor, noise: Tensor) -> Tensor:
        """What f(b) - f(b~) is multiplied by, shape ``(samples, *batch)``."""

    def evaluations(self, states: int, variables: int) -> int:
        """Two for each sample, which is a pair."""
        return 2 * self.samples

    def estimate(self, cost: Cost, variable: Binary, seed: Tensor) -> Tensor:
        drawn = variable.computed().expand(self.samples)
        logits = drawn.logits.detach()
        noise = drawn.drawn(logistic_noise_like, logits, seed)
        costs = cost(variable.sample_of(torch.cat([logits + noise > 0, logits - noise > 0])))
        if not variable.learns:
            return costs.mean(0)
        first, second = costs.detach().chunk(2)
        found = spread(first - second, logits) * self.weight(logits, noise)
        # Of a coin that always falls alike it is zero on average only, and without sense draw by draw.
        return with_gradient(costs, found.masked_fill(logits.isinf(), 0.0), variable.logits)


@register
@dataclass(frozen=True, kw_only=True)
class Arm(AntitheticEstimator):
    r"""ARM: augment, REINFORCE, merge; an antithetic pair weighted by the noise it was drawn with.

    .. math:: (f(b) - f(\tilde b)) (u - \tfrac12), \qquad
        b = 1[u > \sigma(-l)], \quad \tilde b = 1[u < \sigma(l)], \quad u \sim \mathrm{Uniform}(0, 1)

    Of several variables that share a cost, each has its own u, and the difference is that of the whole vectors.

    Estimates: the value is the mean over both samples of the pair; the gradient above.
    Requires: Bernoulli variables, two evaluations a sample, no gradient of the cost.
    Bias: none. :class:`DisArm` does the same with less variance.

    Args:
        samples: pairs to average over.

    Example:
        >>> import torch
        >>> from torch.distributions import Bernoulli
        >>> q = Bernoulli(logits=torch.zeros(3, requires_grad=True))
        >>> loss = Arm()(lambda b: (b - 0.4) ** 2, q, seed=0)
        >>> loss.detach()  # a fair coin's pair holds one head and one tail
        tensor([0.2600, 0.2600, 0.2600])

    References:
        Yin, Zhou. ARM: augment-REINFORCE-merge gradient for stochastic binary networks. ICLR 2019.
    """

    def weight(self, logits: Tensor, noise: Tensor) -> Tensor:
        return 0.5 * torch.tanh(0.5 * noise)  # u - 1/2 with u = sigmoid(x), without the loss of digits


@register
@dataclass(frozen=True, kw_only=True)
class DisArm(AntitheticEstimator):
    r"""DisARM, or U2G: the mean of :class:`Arm` over all noise that leads to the same pair.

    .. math:: \tfrac12 (f(b) - f(\tilde b)) (-1)^{\tilde b}\, 1[b \ne \tilde b]\, \sigma(|l|)

    Estimates: the value is the mean over both samples of the pair; the gradient above.
    Requires: Bernoulli variables, two evaluations a sample, no gradient of the cost.
    Bias: none; its variance is never above that of :class:`Arm`.

    Args:
        samples: pairs to average over.

    Example:
        >>> import torch
        >>> from torch.distributions import Bernoulli
        >>> q = Bernoulli(logits=torch.zeros((), requires_grad=True))
        >>> loss = DisArm()(lambda b: (b - 0.4) ** 2, q)
        >>> torch.autograd.grad(loss, q.logits)[0]  # for one fair coin there is no variance left
        tensor(0.0500)

    References:
        Dong, Mnih, Tucker. DisARM: an antithetic gradient estimator for binary latent variables. NeurIPS 2020.
        Yin, Ho, Yan, Qian, Zhou. Probabilistic best subset selection via gradient-based optimization. 2020.
    """

    def weight(self, logits: Tensor, noise: Tensor) -> Tensor:
        sign = (logits + noise > 0).to(logits.dtype) - (logits - noise > 0).to(logits.dtype)
        return 0.5 * sign * logits.abs().sigmoid()
