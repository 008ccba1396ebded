"""Class numbers: the variable of ``Categorical``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Self

import torch
from torch.distributions import Categorical

from drawgrad._typing import Tensor
from drawgrad.kernels.log_probs import log_softmax
from drawgrad.variables.countable import Countable
from drawgrad.variables.parameters import exact_logits, flattened_logits
from drawgrad.variables.registry import register_variable

__all__ = ["Indexed"]


@register_variable(Categorical)
@dataclass(frozen=True, eq=False)
class Indexed(Countable):
    """Numbers of K classes; the index is the sample itself, int64, which has no relaxation.

    Example:
        >>> import torch
        >>> from torch.distributions import Categorical
        >>> from drawgrad.estimators import Exact
        >>> Exact()(lambda z: z.float(), Categorical(logits=torch.zeros(3))).round(decimals=4)
        tensor(1.)
    """

    logits: Tensor
    words: ClassVar[str] = "Categorical"

    @classmethod
    def of(cls, q: Any) -> Self:
        return cls(exact_logits(q))

    @property
    def batch_shape(self) -> torch.Size:
        return self.logits.shape[:-1]

    @property
    def states(self) -> int:
        return self.logits.shape[-1]

    def flattened(self, factors: Tensor) -> dict[str, Tensor]:
        return flattened_logits(self.logits, factors)

    def log_probs(self) -> Tensor:
        return log_softmax(self.logits)

    def sample_of(self, index: Tensor) -> Tensor:
        return index.clone()

    def index_of(self, z: Tensor) -> Tensor:
        return z
