"""A categorical variable as a tree of binary choices, and an antithetic pair of ways down it.

At every inner node a coin with its own log-odds says which branch to take: the log of the branches' masses of
probability. All functions work without gradients.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

__all__ = ["Pair", "balanced_pair", "stick_pair"]


class Pair(NamedTuple):
    """Two classes at which an antithetic pair arrives, and what the difference of their costs is multiplied by.

    Attributes:
        first: index of a class, shape ``(*batch,)``.
        second: index of a class, shape ``(*batch,)``.
        weight: for the gradient of the logits, shape ``(*batch, k)``.
    """

    first: Tensor
    second: Tensor
    weight: Tensor


def stick_pair(logits: Tensor, toss: Callable[[int], Tensor]) -> Pair:
    """Break a stick: the first coin says whether it is the first class, the next one whether it is the second, ...

    Args:
        logits: shape ``(*batch, k)``.
        toss: makes logistic noise of shape ``(*batch, n)`` for n coins.
    """
    classes = logits.shape[-1]
    # Log of the mass from class n on, and after class n.
    onward = logits.flip(-1).logcumsumexp(-1).flip(-1)
    after = torch.cat([onward[..., 1:], torch.full_like(onward[..., :1], -torch.inf)], -1)
    odds = torch.where(logits == -torch.inf, -torch.inf, logits - after)
    noise = toss(classes)
    first, second = ((odds + sign * noise > 0).to(torch.uint8).argmax(-1) for sign in (1, -1))

    # Up to the node where the ways part both coins are equal; from there on one way is left.
    parting, last = torch.minimum(first, second)[..., None], torch.maximum(first, second)[..., None]
    node = torch.arange(classes, device=logits.device)
    parts, stops = (node == parting) & (parting < last), (node == last) & (parting < last)
    passes = (node > parting) & (node < last)
    at_node = torch.where(parts, odds.abs().sigmoid(), torch.where(passes, odds.sigmoid(), 0.0))
    at_node = torch.where(stops & (after != -torch.inf), -(-odds).sigmoid(), at_node)
    # What goes to the logits after a node, per unit of mass; at the last one the quotient of two small numbers cancels.
    top = onward[..., :1]
    per_mass = torch.where(parts | passes, at_node * (top - after).exp(), 0.0)
    per_mass = torch.where(stops & (after != -torch.inf), -(top - onward).exp(), per_mass)
    before = per_mass.cumsum(-1) - per_mass
    weight = at_node - (logits - top).exp() * before
    return Pair(first, second, 0.5 * torch.where((first < second)[..., None], weight, -weight))


def balanced_pair(logits: Tensor, toss: Callable[[int], Tensor]) -> Pair:
    """Halve the classes: each coin says in which half of those that are left it is.

    Args:
        logits: shape ``(*batch, k)``.
        toss: makes logistic noise of shape ``(*batch, n)`` for n coins.
    """
    classes = logits.shape[-1]
    depth = (classes - 1).bit_length()
    missing = logits.new_full((*logits.shape[:-1], 2**depth - classes), -torch.inf)
    mass = torch.cat([logits, missing], -1)
    odds = []  # of the left branch, from the leaves up
    for _ in range(depth):
        left, right = mass[..., 0::2], mass[..., 1::2]
        # Two empty branches are never reached.
        odds.append(torch.where((left == -torch.inf) & (right == -torch.inf), 0.0, left - right))
        mass = torch.logaddexp(left, right)
    noise = toss(max(1, 2**depth - 1))

    first = second = torch.zeros((*logits.shape[:-1], 1), dtype=torch.int64, device=logits.device)
    weight = torch.zeros_like(mass)
    for level in range(depth):
        here = odds[depth - 1 - level]
        coins = noise[..., 2**level - 1 : 2 ** (level + 1) - 1]
        first_odds, second_odds = here.gather(-1, first), here.gather(-1, second)
        heads = first_odds + coins.gather(-1, first) > 0
        tails = second_odds - coins.gather(-1, second) > 0
        together = first == second
        from_first = torch.where(
            together,
            (heads.to(here.dtype) - tails.to(here.dtype)) * first_odds.abs().sigmoid(),
            heads.to(here.dtype) - first_odds.sigmoid(),
        )
        from_second = torch.where(together, 0.0, second_odds.sigmoid() - tails.to(here.dtype))
        at_node = torch.zeros_like(here).scatter_add(-1, first, from_first).scatter_add(-1, second, from_second)
        # The gradient for a mass goes to its branches in proportion, that for the log-odds to one and from the other.
        weight = torch.stack([weight * here.sigmoid() + at_node, weight * (-here).sigmoid() - at_node], -1).flatten(-2)
        first, second = 2 * first + ~heads, 2 * second + ~tails
    return Pair(first[..., 0], second[..., 0], 0.5 * weight[..., :classes])
