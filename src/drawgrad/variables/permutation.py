"""Permutations: the variable of ``GibbsPermutation``."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import torch

from drawgrad._typing import Tensor
from drawgrad.distributions import GibbsPermutation
from drawgrad.functional import permutation_marginals, permutation_sample
from drawgrad.variables.countable import Countable
from drawgrad.variables.parameters import flattened_logits
from drawgrad.variables.ranking import number_of_ranking
from drawgrad.variables.registry import register_variable

__all__ = ["Permutation"]


@register_variable(GibbsPermutation)
@dataclass(frozen=True, eq=False)
class Permutation(Countable):
    """Permutation matrices; the index is the column of each row.

    Draws, log-probabilities and marginals are exact for up to 16 rows. The states are numbered in the order of
    ``GibbsPermutation.enumerate_support``, which lists them for up to 9.

    Attributes:
        scores: log-weights of the pairs, shape ``(*batch, n, n)``; z has the same shape.
    """

    scores: Tensor
    words: ClassVar[str] = "GibbsPermutation"

    @classmethod
    def of(cls, q: Any) -> Self:
        return cls(q.scores)

    @property
    def states(self) -> int:
        return math.factorial(self.scores.shape[-1])

    @property
    def batch_shape(self) -> torch.Size:
        return self.scores.shape[:-2]

    def flattened(self, factors: Tensor) -> dict[str, Tensor]:
        return {"scores": flattened_logits(self.scores, factors)["logits"]}

    def log_probs(self) -> Tensor:
        return self._law.log_prob(self._law.enumerate_support(expand=False)).movedim(0, -1)

    def state(self, number: Tensor) -> Tensor:
        one = GibbsPermutation(torch.zeros_like(self.scores[(0,) * len(self.batch_shape)]), validate_args=False)
        return self.index_of(one.enumerate_support())[number]

    def number(self, index: Tensor) -> Tensor:
        return number_of_ranking(index, self.scores.shape[-1])

    def draw(self, seed: Tensor) -> Tensor:
        size = self.scores.shape[-2:]

        def sample(rows: Tensor, **place: Any) -> Tensor:
            return permutation_sample(rows.unflatten(-1, size), **place)

        return self.drawn(sample, self.scores.detach().flatten(-2), seed)

    def sample_of(self, index: Tensor) -> Tensor:
        every = torch.arange(self.scores.shape[-1], device=index.device)
        return (index[..., None] == every).to(self.scores.dtype)

    def index_of(self, z: Tensor) -> Tensor:
        return z.argmax(-1)

    def log_prob(self, index: Tensor) -> Tensor:
        return self._law.log_prob(self.sample_of(index))

    def mean(self) -> Tensor:
        return permutation_marginals(self.scores)

    @property
    def _law(self) -> GibbsPermutation:
        return GibbsPermutation(self.scores, validate_args=False)
