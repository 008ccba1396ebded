"""How long one gradient may be: what a draw that did not occur could have said."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.distributions import Bernoulli, Distribution, Independent, OneHotCategorical

from drawgrad._independent import innermost
from drawgrad.diagnostics.comparison.gradients import CostFunction, loss_of, rows_at_once
from drawgrad.diagnostics.comparison.replicas import Replicas
from drawgrad.estimators import Estimator

__all__ = ["Watched", "longest"]

PROBES = 100
"""Gradients that are drawn where rare outcomes are common."""
HEADROOM = 1.5
"""How many times as long as the longest gradient that was seen one may be."""
CANCELLED = 4.0
"""A gradient may be off by this many units in the last place of the largest cost, whatever the statistics say."""


class Watched:
    """A cost, and what its values were; those that are not finite do not count.

    Attributes:
        spread: the difference between the largest and the smallest value.
    """

    def __init__(self, cost: CostFunction) -> None:
        self.cost = cost
        self._eps = 0.0
        self._low, self._high = math.inf, -math.inf

    def __call__(self, z: Tensor) -> Tensor:
        costs = self.cost(z)
        if isinstance(costs, Tensor) and costs.is_floating_point():
            values = costs.detach()
            values = values[values.isfinite()]
            if values.numel():
                self._eps = max(self._eps, torch.finfo(values.dtype).eps)
                self._low, self._high = min(self._low, float(values.min())), max(self._high, float(values.max()))
        return costs

    def rounding(self, dtype: torch.dtype) -> float:
        """What a gradient of that dtype may be off by, as it is what is left of costs that cancel."""
        largest = max(-self._low, self._high, 0.0)
        return CANCELLED * max(self._eps, torch.finfo(dtype).eps) * largest

    @property
    def spread(self) -> float:
        return max(self._high - self._low, 0.0)


def longest(
    found: Tensor,
    estimator: Estimator,
    cost: Watched,
    q: Distribution,
    generator: torch.Generator,
    evaluations: int,
    at_once: int | None,
) -> float:
    """A length that gradients of an estimator hardly exceed, also those of outcomes too rare to have been drawn.

    It is one and a half times that of the longest one seen, among those of ``q`` and, if it is discrete, among 100 of
    distributions between the uniform one and ``q``: the logits are shrunk by factors from 0 to 1, so that what is rare
    occurs. If costs are known that spread more than those of these 100, their gradients count as longer in proportion.

    Args:
        found: gradients that were drawn already, shape ``(draws, parameters)``; a single one is exact.
        estimator: whose gradients.
        cost: has seen the costs of all states, or of as many as there are draws.
        q: the distribution.
        generator: draws the seeds.
        evaluations: samples that one gradient takes.
        at_once: draws that are computed together; as many as memory allows if None.
    """
    if len(found) == 1:
        return 0.0
    seen = _length(found)
    base = innermost(q)
    if isinstance(base, OneHotCategorical | Bernoulli):
        here = Watched(cost)
        size = at_once or max(1, rows_at_once(q) // max(1, evaluations))
        elsewhere = 0.0
        for factors in torch.linspace(0.0, 1.0, PROBES).split(size):
            copies = _shrunk(q, factors)
            elsewhere = max(elsewhere, _length(copies.gradients(loss_of(estimator, here, copies, generator))))
        seen = max(seen, elsewhere * cost.spread / here.spread if here.spread > 0 else elsewhere)
    return HEADROOM * seen


def _length(gradients: Tensor) -> float:
    lengths = gradients.double().norm(dim=1)
    return float(torch.where(lengths.isfinite(), lengths, 0.0).max())


def _shrunk(q: Distribution, factors: Tensor) -> Replicas:
    """Copies of a discrete distribution, the logits of each one multiplied by a factor; what is impossible stays so."""
    if isinstance(q, Independent):
        base = _shrunk(q.base_dist, factors)
        return Replicas(Independent(base.q, q.reinterpreted_batch_ndims, validate_args=False), base.parameters)
    assert isinstance(q, OneHotCategorical | Bernoulli)
    logits = q.logits.detach()
    factors = factors.to(logits).reshape(-1, *[1] * logits.dim())
    leaf = torch.where(logits.isfinite(), logits * factors, logits).requires_grad_()
    return Replicas(type(q)(logits=leaf, validate_args=False), (leaf,))
