"""Subsets of a given size: the variable of ``KSubset``."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, ClassVar

import torch

from drawgrad._typing import Tensor
from drawgrad.distributions import KSubset
from drawgrad.functional import subset_marginals, subset_sample
from drawgrad.variables.k_of_classes import KOfClasses
from drawgrad.variables.registry import register_variable

__all__ = ["Subset"]


@register_variable(KSubset)
@dataclass(frozen=True, eq=False)
class Subset(KOfClasses):
    """Vectors of zeros and k ones, of the shape of the logits; the index is the same vector of bools."""

    words: ClassVar[str] = "KSubset"
    family: ClassVar[Any] = KSubset

    @property
    def states(self) -> int:
        return math.comb(self.logits.shape[-1], self.k)

    def number(self, index: Tensor) -> Tensor:
        # How many subsets come later in lexicographic order: those that agree up to a chosen class, and skip it.
        classes = index.shape[-1]
        table = torch.tensor(
            [[_binomial(n, r) for r in range(self.k + 1)] for n in range(classes)], device=index.device
        )
        left = (self.k - (index.cumsum(-1) - 1)).clamp(0, self.k)
        skipped = torch.arange(classes - 1, -1, -1, device=index.device).expand_as(index)
        later = table.to(index.device)[skipped, left]
        return self.states - 1 - torch.where(index, later, 0).sum(-1)

    def draw(self, seed: Tensor) -> Tensor:
        return self.drawn(subset_sample, self.logits.detach(), seed, self.k) == 1

    def sample_of(self, index: Tensor) -> Tensor:
        return index.to(self.logits.dtype)

    def index_of(self, z: Tensor) -> Tensor:
        return z == 1

    def log_prob(self, index: Tensor) -> Tensor:
        return self.law.log_prob(index.to(self.logits.dtype))

    def mean(self) -> Tensor:
        return subset_marginals(self.logits, self.k)

    def mode(self) -> Tensor:
        most: Tensor = self.law.mode
        return most.detach()


def _binomial(n: int, r: int) -> int:
    # Numbers beyond 64 bits belong to more states than can be listed.
    return min(math.comb(n, r), 2**62)
