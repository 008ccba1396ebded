"""VIMCO: the score function for multi-sample bounds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from drawgrad.estimators.base import SampleEstimator
from drawgrad.estimators.cost import Cost
from drawgrad.estimators.loss import first_order, sum_variables
from drawgrad.estimators.registry import register
from drawgrad.functional import multi_sample_bound
from drawgrad.variables import Scored

__all__ = ["Vimco"]


@register
@dataclass(frozen=True, kw_only=True)
class Vimco(SampleEstimator):
    r"""VIMCO: the gradient of a multi-sample bound, with what the other samples say as each sample's baseline.

    .. math:: L = -\log \frac1S \sum_s e^{-f(D_s)}, \qquad
        \frac{\partial L}{\partial \theta} \approx \sum_s (L - L_{-s})\, \frac{\partial \log q(D_s)}{\partial \theta}
        + \sum_s w_s\, \frac{\partial f(D_s)}{\partial \theta}, \quad w = \mathrm{softmax}(-f)

    L_{-s} is L with f(D_s) replaced by the mean of the other costs.

    **Its value is not E[cost].** It is the bound L of all ``samples`` together, as a loss, and its gradient estimates
    that of E[L]. For a cost f = log q(z) - log p(x, z), E[-L] is the importance-weighted bound of the evidence, which
    grows with ``samples``; in general E[L] <= E[cost], so only losses of as many samples can be compared. (What a cost
    like this one closes over includes q, whose parameters then get both parts of the gradient.)

    Estimates: the bound L; the gradient above.
    Requires: a ``q`` with ``log_prob`` (discrete or not), two samples at least, one evaluation a sample, no gradient of
    the cost.
    Bias: none for the gradient of E[L]. Nested in another cost it is E[L] that stands there.

    Args:
        samples: S, from 2 on.

    Example:
        >>> import torch
        >>> from torch.distributions import Bernoulli
        >>> q = Bernoulli(logits=torch.zeros(4, requires_grad=True))
        >>> cost = lambda z: (q.log_prob(z) + 0.1 * z).sum(-1)
        >>> Vimco(samples=5)(cost, q, seed=0).backward()

    References:
        Mnih, Rezende. Variational inference for Monte Carlo objectives. ICML 2016.
    """

    samples: int = 2
    fewest_samples: ClassVar[int] = 2
    unbiased: ClassVar[bool] = True
    needs_cost_gradient: ClassVar[bool] = False
    takes: ClassVar[type] = Scored
    multi_sample_bound: ClassVar[bool] = True

    def memory(self, numbers: int) -> int:
        """The costs of all but one sample, for each."""
        return self.samples**2

    def estimate(self, cost: Cost, variable: Scored, seed: Tensor) -> Tensor:
        drawn = variable.expand(self.samples)
        index = drawn.draw(seed)
        costs = cost(drawn.sample_of(index))
        bound = multi_sample_bound(costs)
        known = costs.detach()
        itself = torch.eye(self.samples, dtype=torch.bool, device=costs.device)
        itself = itself.reshape(self.samples, self.samples, *[1] * (costs.dim() - 1))
        # Row s holds the costs of all but sample s. They are summed as such: an infinite cost must not meet itself.
        others = torch.where(itself, 0.0, known).sum(1, keepdim=True) / (self.samples - 1)
        without = multi_sample_bound(torch.where(itself, others, known).transpose(0, 1))
        # A baseline may be any number that the others yield; where they are all impossible, zero.
        without = torch.where(without.isinf(), 0.0, without)
        score = sum_variables(drawn.log_prob(index), costs)
        return bound + first_order((bound.detach() - without) * score, costs).sum(0)
