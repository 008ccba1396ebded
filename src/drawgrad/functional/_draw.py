"""What samplers share: the seed of a call, and the way from tensors of any layout to rows of classes and back."""

from __future__ import annotations

import math
from numbers import Integral
from typing import Any

import torch
from torch import Tensor

from drawgrad._checks import check_offset, check_temperature
from drawgrad.functional.surrogate import straight_through
from drawgrad.kernels import ops, reference
from drawgrad.kernels.philox import CLASSES, ROWS

__all__ = ["as_rows", "call", "draw_seed", "from_rows", "given_seed", "is_plain", "place", "relax", "row_temperature"]


def call(operator: str, *args: Any) -> Tensor:
    """Call an operator, or its reference where plain operations of torch are wanted.

    That is under an exporter, whose programs shall not need this package, and where code is compiled that uses
    torch.func, which sees through no operator of others.
    """
    return getattr(reference if is_plain() else ops, operator)(*args)


def relax(operator: str, logits: Tensor, tau: Tensor, seed: Tensor, place: tuple[int, int], hard: bool) -> Tensor:
    """A sample of a relaxation: that of :func:`call`, with its gradient in plain operations as well."""
    sample = call(operator, logits, tau, seed, *place, hard)
    if hard and is_plain() and torch.is_grad_enabled():
        return straight_through(sample, call(operator, logits, tau, seed, *place, False))
    return sample


def is_plain() -> bool:
    """Whether plain operations of torch are wanted, see :func:`call`."""
    if not torch.compiler.is_compiling():
        return False
    # Not is_exporting(), which torch 2.11 takes for true in all code that it compiles.
    return torch.compiler._is_exporting_flag or torch._C._are_functorch_transforms_active()


def draw_seed(generator: torch.Generator | None, seed: int | Tensor | None, device: torch.device) -> Tensor:
    """The seed of one call, int64, shape ``(1,)``: as given, or drawn from ``generator`` (torch's default if None)."""
    if seed is None:
        return _random_seed(generator, device)
    if generator is not None:
        raise ValueError("generator and seed are both given, but the seed is all the randomness of a call; pass one")
    return given_seed(seed, device, "seed")


def given_seed(seed: int | Tensor, device: torch.device, name: str) -> Tensor:
    """A seed that a caller gave, int64, shape ``(1,)``."""
    if isinstance(seed, Tensor):
        if seed.dim() != 0 or seed.dtype != torch.int64:
            raise ValueError(
                f"{name} must be an int or a 0-dim int64 tensor, but it is a tensor of shape "
                f"{tuple(seed.shape)} and dtype {seed.dtype}; draw one with torch.randint(2**63 - 1, ())"
            )
        # A copy: backward draws again, and a caller may count the seed up in place before.
        return seed.to(device).reshape(1).clone()
    if isinstance(seed, bool) or not isinstance(seed, Integral | torch.SymInt):
        raise TypeError(f"{name} must be an int or a 0-dim int64 tensor, but it is {seed!r} ({type(seed).__name__})")
    if not -(2**63) <= seed < 2**64:
        raise ValueError(f"{name} must fit into 64 bits, but it is {seed}; take it modulo 2**64")
    return torch.full((1,), seed - 2**64 if seed >= 2**63 else seed, dtype=torch.int64, device=device)


def _random_seed(generator: torch.Generator | None, device: torch.device) -> Tensor:
    if generator is not None and generator.device.type != device.type:
        raise ValueError(
            f"generator must be on the device of the sample, {device}, but it is on {generator.device}; "
            f"make one with torch.Generator({str(device)!r})"
        )
    if generator is None and torch.compiler.is_compiling() and not is_plain():
        return ops.random_seed(torch.empty(0, device=device))
    return torch.randint(-(2**63), 2**63 - 1, (1,), dtype=torch.int64, device=device, generator=generator)


def place(row_offset: int, class_offset: int, rows: int, classes: int) -> tuple[int, int]:
    """Where a block of rows and classes begins, if the generator can count as far as it ends."""
    check_offset(row_offset, "row_offset", rows, ROWS)
    check_offset(class_offset, "class_offset", classes, CLASSES)
    return row_offset, class_offset


def as_rows(tensor: Tensor, dim: int) -> Tensor:
    """A tensor with its classes along ``dim``, as ``(1, rows, classes)``; a view where the layout allows it."""
    if _is_last(dim, tensor):
        return tensor.reshape(1, math.prod(tensor.shape[:-1]), tensor.shape[-1])  # One node instead of four.
    return tensor.movedim(dim, -1)[None, None].flatten(1, -2)


def from_rows(rows: Tensor, like: Tensor, dim: int) -> Tensor:
    """The inverse of :func:`as_rows`."""
    if _is_last(dim, like):
        return rows.reshape(like.shape)
    return rows.reshape(like.movedim(dim, -1).shape).movedim(-1, dim)


def _is_last(dim: int, tensor: Tensor) -> bool:
    return dim in (-1, tensor.dim() - 1)


def row_temperature(tau: float | Tensor, logits: Tensor, dim: int, cure: str) -> Tensor | None:
    """``tau`` as operators take it, shape ``()`` or ``(1, rows, 1)``; None if it differs between classes of a row."""
    dtype = reference.compute_dtype(logits.dtype)
    check_temperature(tau, cure, dtype=dtype)
    if not isinstance(tau, Tensor):
        if torch.compiler.is_compiling():
            # A compiled product does not depend on the number's value, a compiled constant does.
            return torch.ones((), dtype=dtype, device=logits.device) * tau
        return torch.full((), tau, dtype=dtype, device=logits.device)
    tau = tau.to(logits.device, dtype)
    if tau.numel() == 1 and tau.dim() <= logits.dim():
        # A copy: backward divides again, and a caller may anneal the temperature in place before.
        return tau.reshape(()).clone()
    shape = (1,) * (logits.dim() - tau.dim()) + tuple(tau.shape)
    if len(shape) != logits.dim() or any(t not in (1, n) for t, n in zip(shape, logits.shape, strict=True)):
        raise ValueError(
            f"tau must broadcast to the shape of the logits, {tuple(logits.shape)}, but its shape is "
            f"{tuple(tau.shape)}; give every row its own temperature with shape (*batch, 1), or expand the logits first"
        )
    if shape[dim] != 1:
        return None
    rows = list(logits.shape)
    rows[dim] = 1
    return as_rows(tau.reshape(shape).expand(rows), dim)
