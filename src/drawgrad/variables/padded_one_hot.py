"""One-hot vectors of variables with different numbers of classes: the variable of ``MultiCategorical``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self

from drawgrad.distributions import PaddedOneHotCategorical
from drawgrad.variables.one_hot import OneHot
from drawgrad.variables.parameters import exact_logits
from drawgrad.variables.registry import register_variable

__all__ = ["PaddedOneHot"]


@register_variable(PaddedOneHotCategorical)
@dataclass(frozen=True, eq=False)
class PaddedOneHot(OneHot):
    """One-hot vectors whose last classes are impossible, as many as a variable lacks; enumerations leave them out.

    Attributes:
        classes: numbers of classes of the variables, along the last dimension of the batch.
    """

    classes: tuple[int, ...] = ()

    @classmethod
    def of(cls, q: Any) -> Self:
        return cls(exact_logits(q), q.sizes)

    @property
    def arguments(self) -> dict[str, Any]:
        return {"sizes": self.classes}

    def sizes(self, shared: int) -> list[int]:
        whole, rest = divmod(shared, len(self.classes))
        return [self.states] * shared if rest else list(self.classes) * whole
