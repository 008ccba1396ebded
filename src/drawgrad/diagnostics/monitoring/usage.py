"""Which classes are in use, over as many examples as it takes to tell."""

from __future__ import annotations

import torch

from drawgrad._typing import Bool, Float, Tensor

__all__ = ["Usage", "choosable", "dead_classes"]

DEAD = 0.01
"""A class is dead if it gets less than this part of its equal share."""
ENOUGH = 5
"""Examples for each class, before one that was not chosen may be called dead."""
RULED_OUT = -5000.0
"""A log-probability below this is a mask, which nothing learned."""


def choosable(log_probs: Float[Tensor, "... k"]) -> Bool[Tensor, "... k"]:
    """Which classes are not ruled out: the log-probability is neither minus infinity nor that of a mask."""
    return log_probs > RULED_OUT


def dead_classes(used: Float[Tensor, "... k"], share: Float[Tensor, "... k"] | None = None) -> Bool[Tensor, "... k"]:
    """Which classes are dead: on average over examples, they get less than a hundredth of their equal share.

    Args:
        used: probabilities of the classes, averaged over examples.
        share: what each class would get if all that may be chosen were alike, averaged over the same examples; 1/k if
            None. Classes with a share of zero are ruled out, and not dead.

    Example:
        >>> dead_classes(torch.tensor([0.9, 0.0998, 0.0002]))
        tensor([False, False,  True])
    """
    if share is None:
        share = torch.full_like(used, 1 / used.shape[-1])
    return used < DEAD * share


class Usage:
    """Averages over the latest examples: at least five for each class, at most twice as many or those of one look."""

    def __init__(self) -> None:
        self._now: Tensor = torch.zeros(())
        self._before: Tensor = torch.zeros(())
        self._examples = [0, 0]

    def add(self, p: Float[Tensor, "examples variables k"], share: Float[Tensor, "examples variables k"]) -> None:
        """Count in the examples of one look: probabilities of the classes, and their equal shares."""
        seen = torch.stack([p, share]).sum(1)
        if self._now.shape != seen.shape:
            self._now, self._before, self._examples = torch.zeros_like(seen), torch.zeros_like(seen), [0, 0]
        self._now = self._now + seen
        self._examples[0] += len(p)
        if self._examples[0] >= ENOUGH * p.shape[-1]:
            self._before, self._now = self._now, torch.zeros_like(seen)
            self._examples = [0, self._examples[0]]

    def averages(self) -> tuple[Float[Tensor, "variables k"], Float[Tensor, "variables k"]]:
        """Of the probabilities and of the equal shares."""
        used, share = (self._now + self._before) / sum(self._examples)
        return used, share

    def is_enough(self) -> bool:
        """Whether there were enough examples to call a class dead."""
        return self._examples[1] > 0
