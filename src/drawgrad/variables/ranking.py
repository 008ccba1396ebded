"""Rankings: the variable of ``PlackettLuce``."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import torch

from drawgrad._typing import Tensor
from drawgrad.distributions import PlackettLuce
from drawgrad.functional import gumbel_top_k
from drawgrad.variables.countable import Countable
from drawgrad.variables.parameters import flattened_logits
from drawgrad.variables.registry import register_variable

__all__ = ["Ranking"]


@register_variable(PlackettLuce)
@dataclass(frozen=True, eq=False)
class Ranking(Countable):
    """Vectors of k different class numbers, best one first; the index is the sample itself.

    Draws and log-probabilities are exact for any number of states. They are numbered in the order of
    ``PlackettLuce.enumerate_support``, which lists the rankings without an empty place, as far as they
    are not too many.

    Attributes:
        logits: log-weights of the classes, shape ``(*batch, classes)``.
        k: how many places.
    """

    logits: Tensor
    k: int
    words: ClassVar[str] = "PlackettLuce"

    @classmethod
    def of(cls, q: Any) -> Self:
        return cls(q.logits, q.k)

    @property
    def arguments(self) -> dict[str, Any]:
        return {"k": self.k}

    @property
    def states(self) -> int:
        return math.perm(self.logits.shape[-1], self.k)

    @property
    def batch_shape(self) -> torch.Size:
        return self.logits.shape[:-1]

    def flattened(self, factors: Tensor) -> dict[str, Tensor]:
        return flattened_logits(self.logits, factors)

    def log_probs(self) -> Tensor:
        log_p = self._q.log_prob(self._q.enumerate_support(expand=False)).movedim(0, -1)
        if bool((log_p == -torch.inf).all(-1).any()):
            raise ValueError(
                f"the rankings of {self.k} places cannot be listed where fewer classes are allowed, and some places "
                f"stay empty; use a smaller k, or an estimator that samples, such as LeaveOneOut"
            )
        return log_p

    def state(self, number: Tensor) -> Tensor:
        one = PlackettLuce(self.logits.new_zeros(self.logits.shape[-1]), self.k, validate_args=False)
        return one.enumerate_support()[number]

    def number(self, index: Tensor) -> Tensor:
        # How many rankings come earlier in lexicographic order, place by place.
        classes = self.logits.shape[-1]
        earlier = torch.zeros_like(index[..., 0]) if self.k else index.new_zeros(index.shape[:-1])
        for place in range(self.k):
            value = index[..., place]
            used = (index[..., :place] < value[..., None]).sum(-1)
            earlier = earlier + (value - used) * math.perm(classes - 1 - place, self.k - 1 - place)
        return earlier

    def draw(self, seed: Tensor) -> Tensor:
        return gumbel_top_k(self.logits.detach(), self.k, seed=seed)

    def sample_of(self, index: Tensor) -> Tensor:
        return index.clone()

    def index_of(self, z: Tensor) -> Tensor:
        return z

    def log_prob(self, index: Tensor) -> Tensor:
        return self._q.log_prob(index)

    def mean(self) -> None:
        return None

    @property
    def _q(self) -> PlackettLuce:
        return PlackettLuce(self.logits, self.k, validate_args=False)
