"""Rules that read the values of a scope one by one and keep a state, such as the sum so far or the values taken."""

from __future__ import annotations

import torch

from drawgrad._typing import Tensor
from drawgrad.logic.semirings import Semiring

__all__ = ["from_both_ends"]


def from_both_ends(elements: Tensor, semiring: Semiring, accepted: Tensor, before: Tensor, after: Tensor) -> Tensor:
    """Support of each value: over the states before it, the ways from the start and the ways on to an accepted end.

    Args:
        elements: domains of scopes, ``(*batch, arity, values)``.
        semiring: what they are elements of.
        accepted: the states that may be the last one, ``(states,)``; the first state is 0.
        before: the state from which a value leads to a state, ``(arity, states, values)``; the number of states stands
            for none.
        after: the state to which a value leads from a state, of the same shape.
    """
    arity, states = elements.shape[-2], len(accepted)
    shape = (*elements.shape[:-2], states)
    left = [semiring.lift((torch.arange(states, device=elements.device) == 0).expand(shape), elements)]
    right = [semiring.lift(accepted.expand(shape), elements)]
    for place in range(arity - 1):
        ways = semiring.times(_moved(left[-1], before[place], semiring), elements[..., place, None, :])
        left.append(semiring.sum(ways, -1))
    for place in range(arity - 1, 0, -1):
        ways = semiring.times(_moved(right[-1], after[place], semiring), elements[..., place, None, :])
        right.append(semiring.sum(ways, -1))
    found = [
        semiring.sum(semiring.times(left[place][..., None], _moved(right[-1 - place], after[place], semiring)), -2)
        for place in range(arity)
    ]
    return torch.stack(found, -2)


def _moved(a: Tensor, index: Tensor, semiring: Semiring) -> Tensor:
    """Elements at places of the last dimension, zero where a place is one beyond it, ``(*batch, *index.shape)``."""
    nothing = semiring.lift(torch.zeros_like(a[..., :1], dtype=torch.bool), a)
    found = torch.cat([a, nothing], -1).index_select(-1, index.flatten())
    return found.unflatten(-1, tuple(index.shape))
