"""Where a batch stands in a larger one, and which of several draws it is: what noise hangs on besides the seed."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import torch

from drawgrad._typing import Tensor
from drawgrad.functional import fold_seed, gumbel_noise, logistic_noise

__all__ = ["Place", "aligned", "bound_to_batch", "gumbel_noise_like", "logistic_noise_like"]

COPIES = -1
"""The number that seeds of further copies are folded with; others count from zero."""


class Place(NamedTuple):
    """The place of a batch of choices: numbers of its first row and of its copies, such as the samples of an estimator.

    The noise of a choice is a function of the seed, of the number of its row and of that of its copy. The first copy
    draws with the seed itself, every further one with a seed folded from it.

    Args:
        row: number of the first entry of the first batch dimension.
        copies: how many copies there are, one number for each dimension in front of the batch.
        copy: number of the first copy.

    Example:
        >>> from drawgrad.functional import gumbel_max
        >>> logits = torch.zeros(3, 5, 4)  # three samples for each of five rows
        >>> whole = Place().copied(3).draw(gumbel_max, logits, torch.tensor(7), batch=1)
        >>> part = Place(row=2).copied(3).draw(gumbel_max, logits[:, 2:], torch.tensor(7), batch=1)
        >>> bool((whole[:, 2:] == part).all())
        True
    """

    row: int = 0
    copies: tuple[int, ...] = ()
    copy: int = 0

    def copied(self, times: int, first: int = 0) -> Place:
        """The place of ``times`` copies along a new first dimension, the first of which has the number ``first``."""
        return Place(self.row, (times, *self.copies), self.copy + first * math.prod(self.copies))

    def at(self, row: int) -> Place:
        """The same at another row."""
        return Place(row, self.copies, self.copy)

    def seeds(self, seed: Tensor) -> Tensor:
        """The seed of each copy, shape ``(copies,)``, or the seed itself where it serves for all."""
        count = math.prod(self.copies)
        if count == 1 and not self.copy:
            return seed
        number = torch.arange(self.copy, self.copy + count, device=seed.device)
        return torch.where(number == 0, seed, fold_seed(fold_seed(seed, COPIES), number))

    def draw(self, function: Callable[..., Tensor], values: Tensor, seed: Tensor, *others: Any, batch: int) -> Tensor:
        """Call a sampler so that what it draws for a row depends on the numbers of row and copy, and on no size.

        Args:
            function: a sampler with ``seed`` and ``row_offset``, and with ``class_offset`` where values are no rows of
                classes: ``function(values, *others, seed=..., row_offset=...)``.
            values: shape ``(*copies, *batch, ...)``.
            seed: 0-dim int64 tensor.
            others: further arguments; tensors have the dimensions of copies and batch as well.
            batch: how many batch dimensions there are.

        Returns:
            The result, whose dimensions begin with copies and batch.
        """
        seeds = self.seeds(seed)
        front = len(self.copies)
        if front and seeds.dim():
            values, others = _joined(values, front), tuple(_joined(value, front) for value in others)
            front = 1
        shape = values.shape[front:]
        # One number without a batch is a row of one class.
        alone = not shape and front > 0
        if alone:
            values = values[..., None]
            others = tuple(value[..., None] if isinstance(value, Tensor) else value for value in others)
        if len(shape) == batch < 2:
            # Numbers along one dimension are classes of one row.
            offset = {"class_offset": self.row} if self.row else {}
        else:
            offset = {"row_offset": self.row * math.prod(shape[1:-1] if batch else shape[:-1])} if self.row else {}
        found = function(values, *others, seed=seeds, **offset)
        found = found[..., 0] if alone else found
        return found.unflatten(0, self.copies) if front and seeds.dim() and len(self.copies) > 1 else found


def _joined(value: Any, front: int) -> Any:
    """The same with one dimension of copies in place of several."""
    return value.flatten(0, front - 1) if isinstance(value, Tensor) and value.dim() and front > 1 else value


def aligned(tau: float | Tensor, values: Tensor) -> float | Tensor:
    """A temperature that broadcasts to ``values``, with as many dimensions: what :meth:`Place.draw` takes."""
    if not isinstance(tau, Tensor) or not tau.dim():
        return tau
    return tau.reshape(*[1] * (values.dim() - tau.dim()), *tau.shape)


def gumbel_noise_like(values: Tensor, **place: Any) -> Tensor:
    """Gumbel noise of the shape, dtype and device of ``values``: a sampler for :meth:`Place.draw`."""
    return gumbel_noise(values.shape, dtype=values.dtype, device=values.device, **place)


def logistic_noise_like(values: Tensor, **place: Any) -> Tensor:
    """Logistic noise, likewise."""
    return logistic_noise(values.shape, dtype=values.dtype, device=values.device, **place)


def bound_to_batch(q: Any) -> TypeError:
    """The error for a row offset where torch draws the whole batch in one go."""
    return TypeError(
        f"row_offset cannot be heeded for q = {type(q).__name__}, which is drawn with its own sampler: what a row gets "
        "there depends on the size of the batch; give each part a seed of its own, seed=fold_seed(seed, part)"
    )
