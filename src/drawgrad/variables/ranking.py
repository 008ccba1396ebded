"""Rankings: the variable of ``PlackettLuce``."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, ClassVar

import torch

from drawgrad._typing import Tensor
from drawgrad.distributions import PlackettLuce
from drawgrad.functional import gumbel_top_k
from drawgrad.variables.k_of_classes import KOfClasses
from drawgrad.variables.registry import register_variable

__all__ = ["Ranking", "number_of_ranking"]


@register_variable(PlackettLuce)
@dataclass(frozen=True, eq=False)
class Ranking(KOfClasses):
    """Vectors of k different class numbers, best one first; the index is the sample itself.

    Listed are the rankings without an empty place.
    """

    words: ClassVar[str] = "PlackettLuce"
    family: ClassVar[Any] = PlackettLuce

    @property
    def states(self) -> int:
        return math.perm(self.logits.shape[-1], self.k)

    def log_probs(self) -> Tensor:
        log_p = super().log_probs()
        if bool((log_p == -torch.inf).all(-1).any()):
            raise ValueError(
                f"the rankings of {self.k} places cannot be listed where fewer classes are allowed, and some places "
                f"stay empty; use a smaller k, or an estimator that samples, such as LeaveOneOut"
            )
        return log_p

    def number(self, index: Tensor) -> Tensor:
        return number_of_ranking(index, self.logits.shape[-1])

    def draw(self, seed: Tensor) -> Tensor:
        return self.drawn(gumbel_top_k, self.logits.detach(), seed, self.k)

    def sample_of(self, index: Tensor) -> Tensor:
        return index.clone()

    def index_of(self, z: Tensor) -> Tensor:
        return z

    def log_prob(self, index: Tensor) -> Tensor:
        return self.law.log_prob(index)

    def mean(self) -> None:
        return None


def number_of_ranking(index: Tensor, classes: int) -> Tensor:
    """The number of rankings of k of so many classes in lexicographic order, shape ``(...)`` for ``(..., k)``.

    Example:
        >>> import torch
        >>> number_of_ranking(torch.tensor([[0, 1], [0, 2], [2, 1]]), 3)
        tensor([0, 1, 5])
    """
    # How many come earlier, place by place.
    k = index.shape[-1]
    earlier = index.new_zeros(index.shape[:-1])
    for place in range(k):
        value = index[..., place]
        used = (index[..., :place] < value[..., None]).sum(-1)
        earlier = earlier + (value - used) * math.perm(classes - 1 - place, k - 1 - place)
    return earlier
