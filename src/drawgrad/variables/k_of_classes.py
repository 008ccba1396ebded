"""Choices of k out of K classes: what subsets and rankings have in common as variables."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Self

import torch

from drawgrad._typing import Tensor
from drawgrad.variables.countable import Countable
from drawgrad.variables.parameters import flattened_logits

__all__ = ["KOfClasses"]


@dataclass(frozen=True, eq=False)
class KOfClasses(Countable):
    """A choice of k classes whose law is that of a distribution made of ``(logits, k)``.

    Draws and log-probabilities are exact for any number of states, which are numbered in the order of the
    distribution's ``enumerate_support``, as far as they are not too many. A subclass says what an index is.

    Attributes:
        logits: log-weights of the classes, shape ``(*batch, classes)``.
        k: how many of them are chosen.
        family: the distribution.
    """

    logits: Tensor
    k: int
    family: ClassVar[Any]

    @classmethod
    def of(cls, q: Any) -> Self:
        return cls(q.logits, q.k)

    @property
    def arguments(self) -> dict[str, Any]:
        return {"k": self.k}

    @property
    def batch_shape(self) -> torch.Size:
        return self.logits.shape[:-1]

    def flattened(self, factors: Tensor) -> dict[str, Tensor]:
        return flattened_logits(self.logits, factors)

    def log_probs(self) -> Tensor:
        return self.law.log_prob(self.law.enumerate_support(expand=False)).movedim(0, -1)

    def state(self, number: Tensor) -> Tensor:
        one = self.family(self.logits.new_zeros(self.logits.shape[-1]), self.k, validate_args=False)
        return self.index_of(one.enumerate_support())[number]

    @property
    def law(self) -> Any:
        """The distribution of these parameters."""
        return self.family(self.logits, self.k, validate_args=False)
