"""The way from a tensor of any layout to rows of classes, where operators look for them, and back."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from drawgrad._checks import check_at_hand, check_offset, check_temperature
from drawgrad.kernels import ops
from drawgrad.kernels.philox import CLASSES, ROWS
from drawgrad.kernels.reference import compute_dtype
from drawgrad.kernels.state import is_bare, wants_derivative

__all__ = ["Rows", "check_place", "noise_of"]


@dataclass(slots=True)
class Rows:
    """A tensor whose last dimension is that of the classes; all others together count rows.

    Args:
        values: the tensor, seen that way.
        like: the tensor as the caller gave it.
        dim: dimension of its classes.
        place: numbers of the first row and of the first class.
    """

    values: Tensor
    like: Tensor
    dim: int
    place: tuple[int, int]

    @classmethod
    def of(cls, tensor: Tensor, dim: int, row_offset: int, class_offset: int) -> Rows:
        """The rows of a tensor, if the generator can count as far as they end; one number is a row of one class."""
        rank = tensor.dim()
        if not rank:
            values = tensor[None]
        else:
            values = tensor if dim == -1 or dim == rank - 1 else tensor.movedim(int(dim), -1)
        return cls(values, tensor, int(dim), check_place(values.shape, row_offset, class_offset))

    def restore(self, rows: Tensor) -> Tensor:
        """A result like the rows in the layout of the caller's tensor: contiguous, and not a view, as torch's own."""
        if self.values is self.like:
            return rows
        moved = rows.movedim(-1, self.dim) if self.like.dim() else rows[0]
        return moved.clone(memory_format=torch.contiguous_format)

    @property
    def groups(self) -> int | Tensor | None:
        """How many seeds there may be instead of one: one for each entry of the first dimension."""
        return self.values.shape[0] if self.values.dim() > 1 else None

    def noise(self, seed: int | Tensor, family: str) -> Tensor:
        """Noise of the shape of the rows, in the dtype in which they are computed."""
        return noise_of(seed, tuple(self.values.shape), self.place, family, compute_dtype(self.values.dtype))

    def temperature(self, tau: float | Tensor, cure: str) -> float | Tensor | None:
        """``tau`` as operators take it: a number, or a tensor that broadcasts to one number for each row.

        None if it differs between classes of a row.
        """
        dtype = compute_dtype(self.values.dtype)
        check_temperature(tau, cure, dtype=dtype)
        if not isinstance(tau, Tensor):
            return tau if isinstance(tau, float | torch.SymFloat | torch.SymInt) else float(tau)
        check_at_hand(tau, self.values.device, "tau")
        shape = self.like.shape or (1,)
        if tau.numel() == 1 and tau.dim() <= len(shape):
            if tau.is_cpu and is_bare(tau) and not wants_derivative(tau):
                return tau.item()
            # A copy: backward divides again, and a caller may anneal the temperature in place before.
            return tau.to(self.values.device, dtype).reshape(()).clone()
        aligned = (1,) * (len(shape) - tau.dim()) + tuple(tau.shape)
        if len(aligned) != len(shape) or any(t not in (1, n) for t, n in zip(aligned, shape, strict=True)):
            raise ValueError(
                f"tau must broadcast to the shape of the logits, {tuple(self.like.shape)}, but its shape is "
                f"{tuple(tau.shape)}; give every row its own temperature with shape (*batch, 1), or expand the logits "
                "first"
            )
        if aligned[self.dim] != 1:
            return None
        return tau.to(self.values.device, dtype).reshape(aligned).movedim(self.dim, -1)


def noise_of(
    seed: int | Tensor, shape: tuple[int, ...], place: tuple[int, int], family: str, dtype: torch.dtype
) -> Tensor:
    """Noise of one seed, or of one for each entry of the first dimension, which counts its rows by itself."""
    own = shape[1:] if isinstance(seed, Tensor) and seed.dim() else shape
    return ops.noise(seed, own, *place, family, dtype)


def check_place(shape: tuple[int, ...] | torch.Size, row_offset: int, class_offset: int) -> tuple[int, int]:
    """Where a block of rows and classes begins, if the generator can count as far as it ends."""
    if type(row_offset) is int and type(class_offset) is int and not row_offset and not class_offset:
        return 0, 0  # No tensor has more rows or classes than the generator counts from zero.
    if not is_bare():
        # Sizes are symbols in code that is compiled or traced, which a comparison would tie down.
        check_offset(row_offset, "row_offset")
        check_offset(class_offset, "class_offset")
    else:
        rows, classes = math.prod(shape[:-1]), shape[-1] if len(shape) else 1
        check_offset(row_offset, "row_offset", rows, ROWS)
        check_offset(class_offset, "class_offset", classes, CLASSES)
    return _as_int(row_offset), _as_int(class_offset)


def _as_int(number: int) -> int:
    """NumPy's integers as Python's; symbols as they are."""
    return number if isinstance(number, int | torch.SymInt) else int(number)
