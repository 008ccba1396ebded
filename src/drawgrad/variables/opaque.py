"""Distributions that this package does not know: drawn with their own sampler."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Self

import torch
from torch.distributions import Distribution

from drawgrad._typing import Tensor
from drawgrad.functional import logistic_noise, seeded
from drawgrad.variables.place import bound_to_batch
from drawgrad.variables.variable import Scored, Variable, cannot_remake

__all__ = ["Opaque", "OpaqueScored"]


@dataclass(frozen=True, eq=False)
class Opaque(Variable):
    """The variable of a distribution of any other type; the index is the sample itself.

    Attributes:
        base: the distribution inside all ``Independent``.
    """

    base: Distribution

    @classmethod
    def of(cls, q: Any) -> Self:
        return cls(q)

    @property
    def batch_shape(self) -> torch.Size:
        return torch.Size([*self.place.copies, *self.base.batch_shape])

    @property
    def parameters(self) -> dict[str, Tensor]:
        """What the distribution is made of, in the order of the names.

        Raises:
            TypeError: if it holds no parameters.
        """
        return {name: getattr(self.base, name) for name in _made_of(self.base)}

    @property
    def device(self) -> None:
        return None

    @property
    def learns(self) -> bool:
        return torch.is_grad_enabled()

    def expand(self, samples: int, first: int = 0) -> Self:
        return replace(self, place=self.place.copied(samples, first))

    def placed(self, row: int) -> Self:
        if row:
            raise bound_to_batch(self.q)
        return self

    def draw(self, seed: Tensor) -> Tensor:
        with torch.no_grad(), seeded(seed):
            return self.base.sample(torch.Size(self.place.copies))

    def sample_of(self, index: Tensor) -> Tensor:
        return index.clone()

    def index_of(self, z: Tensor) -> Tensor:
        return z

    def draw_antithetic(self, seed: Tensor) -> Tensor:
        """Pairs F^-1(u), F^-1(1 - u): each of the two a sample, on opposite sides of the median."""
        if type(self.base).icdf is Distribution.icdf:
            raise TypeError(
                "antithetic=True takes q = a distribution whose states can be counted, or one with icdf, but q is a "
                f"{type(self.base).__name__}; use antithetic=False"
            )
        with torch.no_grad():
            like = self.base.sample(torch.Size([0]))
            shape = (*self.place.copies, *like.shape[1:])
            x = logistic_noise(shape, dtype=torch.float64, device=like.device, seed=seed)
            return self.base.icdf(torch.cat([x, -x]).sigmoid()).to(like.dtype)


@dataclass(frozen=True, eq=False)
class OpaqueScored(Opaque, Scored):
    """The same for a distribution with ``log_prob``."""

    def log_prob(self, index: Tensor) -> Tensor:
        return self.base.log_prob(index)


def _made_of(q: Distribution) -> list[str]:
    """The names of the parameters that a distribution holds, rather than derives on demand."""
    try:
        names = sorted(name for name in q.arg_constraints if isinstance(vars(q).get(name), Tensor))
    except NotImplementedError:
        names = []
    if not names:
        raise cannot_remake(type(q), "it holds no parameters")
    return names
