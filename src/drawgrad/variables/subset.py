"""Subsets of a given size: the variable of ``KSubset``."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import torch

from drawgrad._typing import Tensor
from drawgrad.distributions import KSubset
from drawgrad.functional import subset_marginals, subset_sample
from drawgrad.variables.countable import Countable
from drawgrad.variables.parameters import flattened_logits
from drawgrad.variables.registry import register_variable

__all__ = ["Subset"]


@register_variable(KSubset)
@dataclass(frozen=True, eq=False)
class Subset(Countable):
    """Vectors of zeros and k ones; the index is the same vector of bools.

    Draws, log-probabilities and marginals are exact for any number of states. They are numbered in the order of
    ``KSubset.enumerate_support``, which lists them all, as far as they are not too many.

    Attributes:
        logits: log-weights of the classes, shape ``(*batch, classes)``; z has the same shape.
        k: how many ones.
    """

    logits: Tensor
    k: int
    words: ClassVar[str] = "KSubset"

    @classmethod
    def of(cls, q: Any) -> Self:
        return cls(q.logits, q.k)

    @property
    def arguments(self) -> dict[str, Any]:
        return {"k": self.k}

    @property
    def states(self) -> int:
        return math.comb(self.logits.shape[-1], self.k)

    @property
    def batch_shape(self) -> torch.Size:
        return self.logits.shape[:-1]

    def flattened(self, factors: Tensor) -> dict[str, Tensor]:
        return flattened_logits(self.logits, factors)

    def log_probs(self) -> Tensor:
        return self._q.log_prob(self._q.enumerate_support(expand=False)).movedim(0, -1)

    def state(self, number: Tensor) -> Tensor:
        one = KSubset(self.logits.new_zeros(self.logits.shape[-1]), self.k, validate_args=False)
        return one.enumerate_support().bool()[number]

    def number(self, index: Tensor) -> Tensor:
        # How many subsets come later in lexicographic order: those that agree up to a chosen class, and skip it.
        classes = index.shape[-1]
        table = torch.tensor([[_binomial(n, r) for r in range(self.k + 1)] for n in range(classes)])
        left = (self.k - (index.cumsum(-1) - 1)).clamp(0, self.k)
        skipped = torch.arange(classes - 1, -1, -1, device=index.device).expand_as(index)
        later = table.to(index.device)[skipped, left]
        return self.states - 1 - torch.where(index, later, 0).sum(-1)

    def draw(self, seed: Tensor) -> Tensor:
        return subset_sample(self.logits.detach(), self.k, seed=seed) == 1

    def sample_of(self, index: Tensor) -> Tensor:
        return index.to(self.logits.dtype)

    def index_of(self, z: Tensor) -> Tensor:
        return z == 1

    def log_prob(self, index: Tensor) -> Tensor:
        return self._q.log_prob(index.to(self.logits.dtype))

    def mean(self) -> Tensor:
        return subset_marginals(self.logits, self.k)

    @property
    def _q(self) -> KSubset:
        return KSubset(self.logits, self.k, validate_args=False)


def _binomial(n: int, r: int) -> int:
    # Numbers beyond 64 bits belong to more states than can be listed.
    return min(math.comb(n, r), 2**62)
