"""How long one gradient may be: what a draw that did not occur could have said."""

from __future__ import annotations

import torch
from torch import Tensor

from drawgrad.diagnostics.comparison.costs import Watched
from drawgrad.diagnostics.comparison.gradients import loss_of, rows_at_once
from drawgrad.diagnostics.comparison.replicas import flattened
from drawgrad.estimators import Estimator
from drawgrad.variables import Distributions

__all__ = ["longest"]

PROBES = 100
"""Gradients that are drawn where rare outcomes are common."""
HEADROOM = 1.5
"""How many times as long as the longest gradient that was seen one may be."""


def longest(
    found: Tensor,
    estimator: Estimator,
    cost: Watched,
    q: Distributions,
    generator: torch.Generator,
    rows: int,
    at_once: int | None,
) -> float:
    """A length that gradients of an estimator hardly exceed, also those of outcomes too rare to have been drawn.

    It is one and a half times that of the longest one seen, among those of ``q`` and, if there are distributions
    between the uniform one and ``q``, among 100 of these, where what is rare occurs. If costs are known that spread
    more than those of these 100, their gradients count as longer in proportion.

    Args:
        found: gradients that were drawn already, shape ``(draws, parameters)``; a single one is exact.
        estimator: whose gradients.
        cost: has seen the costs of all states, or of as many as there are draws.
        q: the distribution.
        generator: draws the seeds.
        rows: samples that one gradient takes, or whose memory it takes.
        at_once: draws that are computed together; as many as memory allows if None.
    """
    if len(found) == 1:
        return 0.0
    seen, elsewhere = _length(found), 0.0
    here = Watched(cost)
    size = at_once or max(1, rows_at_once(q) // max(1, rows))
    for factors in torch.linspace(0.0, 1.0, PROBES, device="cpu").split(size):
        copies = flattened(q, factors)
        if copies is None:
            break
        elsewhere = max(elsewhere, _length(copies.gradients(loss_of(estimator, here, copies, generator))))
    return HEADROOM * max(seen, elsewhere * cost.spread / here.spread if here.spread > 0 else elsewhere)


def _length(gradients: Tensor) -> float:
    lengths = gradients.double().norm(dim=1)
    return float(torch.where(lengths.isfinite(), lengths, 0.0).max())
