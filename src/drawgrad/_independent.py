"""What is inside ``torch.distributions.Independent``, which only tells batch and event apart."""

from __future__ import annotations

from torch.distributions import Distribution, Independent

__all__ = ["innermost"]


def innermost(q: Distribution) -> Distribution:
    """The distribution itself, or the one inside any number of ``Independent``."""
    while isinstance(q, Independent):
        q = q.base_dist
    return q
