"""What the distributions share: ``expand`` from the names of their parameters, and ``sample`` from ``rsample``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import torch
from torch.distributions import Distribution
from torch.types import _size

from drawgrad._checks import check_count, check_floating
from drawgrad._typing import Float, Tensor

__all__ = ["MOST_STATES", "Expandable", "KOfClasses", "Seeded"]

MOST_STATES = 2**20
"""States that ``enumerate_support`` makes at most."""


class Expandable(Distribution):
    """A distribution that says what it is made of.

    A class with a constructor of its own declares both names, or the one that differs from its base's.
    """

    _tensors: ClassVar[Mapping[str, int]]
    """The parameters that follow the batch: their names, and how many dimensions each has beyond it."""
    _settings: ClassVar[tuple[str, ...]] = ()
    """What else there is, the same for every batch shape."""

    def expand(self, batch_shape: _size, _instance: Any = None) -> Any:
        """The distribution with its batch expanded to ``batch_shape``; no parameter is copied."""
        declared = (kind for kind in type(self).__mro__ if {"_tensors", "_settings"} & vars(kind).keys())
        new = self._get_checked_instance(next(declared), _instance)
        batch_shape = torch.Size(batch_shape)
        for name, dims in self._tensors.items():
            value = getattr(self, name)
            setattr(new, name, value.expand(batch_shape + value.shape[value.dim() - dims :]))
        for name in self._settings:
            setattr(new, name, getattr(self, name))
        # Not by way of super(): a subclass may inherit from a torch distribution too, with a constructor of its own.
        Distribution.__init__(new, batch_shape, self.event_shape, validate_args=False)
        new._validate_args = self._validate_args
        return new


class Seeded(Distribution):
    """A distribution whose samples carry a gradient and whose randomness is a seed."""

    has_rsample = True

    def sample(
        self,
        sample_shape: _size = torch.Size(),  # noqa: B008  torch's signature
        *,
        generator: torch.Generator | None = None,
        seed: int | Tensor | None = None,
    ) -> Float[Tensor, "..."]:
        """What ``rsample`` draws, without a gradient."""
        with torch.no_grad():
            return self.rsample(sample_shape, generator=generator, seed=seed)

    def rsample(
        self,
        sample_shape: _size = torch.Size(),  # noqa: B008  torch's signature
        *,
        generator: torch.Generator | None = None,
        seed: int | Tensor | None = None,
    ) -> Float[Tensor, "..."]:
        """Draw samples that carry a gradient to the parameters.

        Args:
            sample_shape: shape of independent draws for each element of the batch.
            generator: draws the seed; torch's default generator of the parameters' device if None.
            seed: the seed itself, an int or a 0-dim int64 tensor, instead of ``generator``.

        Returns:
            Samples of shape ``(*sample_shape, *batch_shape, *event_shape)`` and the dtype of the parameters.
        """
        raise NotImplementedError


class KOfClasses(Expandable):
    """A choice of k out of K classes with log-weights."""

    arg_constraints = {}  # noqa: RUF012  torch's declaration; the values are checked by the constructors
    has_enumerate_support = True
    _tensors = {"logits": 1}  # noqa: RUF012
    logits: Tensor
    k: int

    def _set(self, logits: Tensor, k: int) -> None:
        """Take logits and size, if they fit each other."""
        check_floating(logits, "logits")
        check_count(k, "k")
        if logits.dim() == 0:
            raise ValueError("logits must have a dimension of classes, but they are 0-dim; give them shape (classes,)")
        if k > logits.shape[-1]:
            raise ValueError(
                f"k must be at most the number of classes, {logits.shape[-1]}, but it is {k}; choose fewer"
            )
        self.logits, self.k = logits, k

    def _check_values(self, valid: Tensor, rule: str) -> None:
        """Refuse logits some of whose rows break a rule, and show the first of them."""
        if not torch._is_all_true(valid):
            raise ValueError(
                f"logits must be {rule}, but a tensor of shape {tuple(self.logits.shape)} holds "
                f"{self.logits[~valid][0].tolist()}; correct it, or pass validate_args=False to skip this check"
            )

    def _listed(self, states: Tensor, expand: bool) -> Tensor:
        """States of shape ``(n, event)``, with the dimensions of the batch between."""
        states = states.reshape(len(states), *(1,) * len(self.batch_shape), states.shape[-1])
        return states.expand(-1, *self.batch_shape, -1) if expand else states

    @property
    def param_shape(self) -> torch.Size:
        """Shape of the logits."""
        return self.logits.shape

    def __repr__(self) -> str:
        return f"{type(self).__name__}(logits: {self.logits.shape}, k: {self.k})"
