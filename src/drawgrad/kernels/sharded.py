"""Operators on tensors that are spread over several devices (DTensor): each device draws its part of the whole."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from drawgrad.kernels.state import first_index

__all__ = ["is_sharded", "run_on_parts"]


def is_sharded(*values: Any) -> bool:
    """Whether one of the values is a DTensor. Where there is one, its module has been imported."""
    module = sys.modules.get("torch.distributed.tensor")
    return module is not None and any(isinstance(value, module.DTensor) for value in values)


def run_on_parts(
    operation: Callable[..., Any], args: tuple[Any, ...], *, like: int, tau: int | None, seed: int | None
) -> Any:
    """Call an operation on the rows that this device holds; the result is spread as they are.

    The first dimension stays spread, because its rows follow each other. Other dimensions are gathered: a row is
    normalized as a whole, and the rows of a part of a later dimension are not numbered one after the other.

    Args:
        operation: what to call.
        args: its arguments, tensors before numbers; row and class offset stand right behind the seed.
        like: position of the tensor that says how rows are spread.
        tau: position of the temperature, None if there is none.
        seed: position of the seed, likewise.
    """
    from torch.distributed.tensor import DTensor, Replicate, distribute_tensor

    whole = next(args[at] for at in (like, *range(len(args))) if isinstance(args[at], DTensor))
    mesh, shape = whole.device_mesh, args[like].shape
    # Several seeds, one for each entry of the first dimension, are those of samples, which are not spread.
    one_seed = seed is None or not isinstance(args[seed], Tensor) or not args[seed].dim()
    spread = [p if p.is_shard(0) and len(shape) > 1 and one_seed else Replicate() for p in whole.placements]
    everywhere = [Replicate()] * mesh.ndim

    def local(at: int, value: Any) -> Any:
        if not isinstance(value, Tensor):
            return value
        rows = at not in (tau, seed) or (at == tau and value.dim() == len(shape) and value.shape[0] == shape[0] > 1)
        placements = spread if rows else everywhere
        if not isinstance(value, DTensor):
            return distribute_tensor(value, mesh, placements).to_local() if rows else value
        return value.redistribute(placements=placements).to_local()

    parts = [local(at, value) for at, value in enumerate(args)]
    if seed is not None:
        parts[seed + 1] = parts[seed + 1] + _rows_before(shape, mesh, spread)

    def whole_of(result: Tensor) -> Any:
        size = torch.Size((*shape[:1], *result.shape[1:]))
        strides = [1]
        for length in reversed(size[1:]):
            strides.insert(0, strides[0] * length)
        return DTensor.from_local(result, mesh, spread, run_check=False, shape=size, stride=tuple(strides[: len(size)]))

    found = operation(*parts)
    return tuple(map(whole_of, found)) if isinstance(found, tuple) else whole_of(found)


def _rows_before(shape: Any, mesh: Any, placements: Any) -> int:
    """Rows that other devices hold before those of this one."""
    rows = first_index(shape, mesh, placements) if len(shape) > 1 else 0
    for length in shape[1:-1]:
        rows *= length
    return rows
