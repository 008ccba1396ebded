"""The CPU twin: Numba kernels over blocks of rows in a thread pool.

Signatures are those of the reference twin, except that temperature and seed may be numbers: a small call is mostly
overhead, and is spared the tensors. Narrow dtypes are widened before and rounded after; float64 does not come here.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from drawgrad.kernels.cpu import narrow, wide
from drawgrad.kernels.cpu.memory import empty, empty_like
from drawgrad.kernels.cpu.pool import for_each_block
from drawgrad.kernels.philox import GUMBEL_STREAM, LOGISTIC_STREAM

__all__ = [
    "binary_concrete",
    "binary_concrete_vjp",
    "gumbel_max",
    "gumbel_softmax",
    "gumbel_softmax_vjp",
    "noise",
    "sigmoid_vjp",
    "softmax_vjp",
]

STREAMS = {"gumbel": GUMBEL_STREAM, "logistic": LOGISTIC_STREAM}

Seed = Tensor | int
Temperature = Tensor | float


def noise(
    seed: Seed, shape: Sequence[int], row_offset: int, class_offset: int, family: str, dtype: torch.dtype
) -> Tensor:
    """See :func:`drawgrad.kernels.reference.noise`."""
    out = empty((*_groups(seed), *shape), torch.float32)
    table = _table(out)
    for_each_block(wide.noise, table.shape, (table, *_draw(seed, table, row_offset, class_offset), STREAMS[family]))
    return out.to(dtype)


def gumbel_softmax(
    logits: Tensor, tau: Temperature, seed: Seed, row_offset: int, class_offset: int, hard: bool
) -> Tensor:
    """See :func:`drawgrad.kernels.reference.gumbel_softmax`."""
    sample = empty_like(logits)
    table, out = _table(logits), _table(sample)
    draw = _draw(seed, table, row_offset, class_offset)
    if hard:
        index = np.empty(len(table), np.int64)
        for_each_block(_layout(table).gumbel_one_hot, table.shape, (table, index, out, *draw))
    else:
        for_each_block(_layout(table).gumbel_softmax, table.shape, (table, out, _each(tau, logits), *draw))
    return _narrowed(sample, logits)


def gumbel_softmax_vjp(
    grad: Tensor, logits: Tensor, tau: Temperature, seed: Seed, row_offset: int, class_offset: int
) -> Tensor:
    """See :func:`drawgrad.kernels.reference.gumbel_softmax_vjp`."""
    out = empty_like(logits)
    tables = (_table(grad), _table(logits), _table(out), _each(tau, logits))
    draw = _draw(seed, tables[1], row_offset, class_offset)
    for_each_block(_layout(tables[1]).gumbel_softmax_vjp, tables[1].shape, (*tables, *draw))
    return _narrowed(out, logits)


def gumbel_max(logits: Tensor, seed: Seed, row_offset: int, class_offset: int) -> Tensor:
    """See :func:`drawgrad.kernels.reference.gumbel_max`."""
    index = torch.empty(logits.shape[:-1], dtype=torch.int64)
    table = _table(logits)
    draw = _draw(seed, table, row_offset, class_offset)
    for_each_block(_layout(table).gumbel_max, table.shape, (table, index.numpy().reshape(-1), *draw))
    return index


def binary_concrete(
    logits: Tensor, tau: Temperature, seed: Seed, row_offset: int, class_offset: int, hard: bool
) -> Tensor:
    """See :func:`drawgrad.kernels.reference.binary_concrete`."""
    sample = empty_like(logits)
    tables = (_table(logits), _table(sample), _each(tau, logits))
    draw = _draw(seed, tables[0], row_offset, class_offset)
    for_each_block(wide.binary_concrete, tables[0].shape, (*tables, *draw, hard))
    return _narrowed(sample, logits)


def binary_concrete_vjp(
    grad: Tensor, logits: Tensor, tau: Temperature, seed: Seed, row_offset: int, class_offset: int
) -> Tensor:
    """See :func:`drawgrad.kernels.reference.binary_concrete_vjp`."""
    out = empty_like(logits)
    tables = (_table(grad), _table(logits), _table(out), _each(tau, logits))
    draw = _draw(seed, tables[1], row_offset, class_offset)
    for_each_block(wide.binary_concrete_vjp, tables[1].shape, (*tables, *draw))
    return _narrowed(out, logits)


def softmax_vjp(grad: Tensor, sample: Tensor, tau: Temperature) -> Tensor:
    """See :func:`drawgrad.kernels.reference.softmax_vjp`."""
    return _from_sample(wide.softmax_vjp, grad, sample, tau)


def sigmoid_vjp(grad: Tensor, sample: Tensor, tau: Temperature) -> Tensor:
    """See :func:`drawgrad.kernels.reference.sigmoid_vjp`."""
    return _from_sample(wide.sigmoid_vjp, grad, sample, tau)


def _from_sample(kernel: Callable[..., None], grad: Tensor, sample: Tensor, tau: Temperature) -> Tensor:
    out = empty_like(sample)
    tables = (_table(grad), _table(sample), _table(out))
    for_each_block(kernel, tables[1].shape, (*tables, _each(tau, sample)))
    return _narrowed(out, sample)


def _narrowed(result: Tensor, like: Tensor) -> Tensor:
    return result if like.dtype is torch.float32 else result.to(like.dtype)


def _layout(table: Any) -> Any:
    return narrow if table.shape[1] <= narrow.FEW_CLASSES else wide


def _table(tensor: Tensor) -> Any:
    """All rows as one float32 array of two dimensions; no copy of a contiguous float32 tensor."""
    if tensor.dtype is not torch.float32 or not tensor.is_contiguous():
        tensor = tensor.detach().to(torch.float32).contiguous()
    array = tensor.numpy(force=True)
    return array if array.ndim == 2 else array.reshape(_rows(array.shape), array.shape[-1] if array.ndim else 1)


def _rows(shape: Sequence[int]) -> int:
    rows = 1
    for size in shape[:-1]:
        rows *= size
    return rows


def _each(tau: Temperature, like: Tensor) -> Any:
    """The temperature of each row, or the one of all rows, as an array."""
    if not isinstance(tau, Tensor):
        return _number(tau)
    if tau.numel() != 1:
        tau = tau.detach().expand(*like.shape[:-1], 1).contiguous()
    return tau.numpy(force=True).reshape(-1)


@functools.lru_cache(maxsize=64)
def _number(tau: float) -> Any:
    return np.array([tau], np.float32)


def _groups(seed: Seed) -> tuple[int, ...]:
    return tuple(seed.shape) if isinstance(seed, Tensor) else ()


def _draw(seed: Seed, table: Any, row_offset: int, class_offset: int) -> tuple[Any, int, int, int]:
    """The seeds of all groups, the rows in a group, and where its rows and classes begin."""
    if not isinstance(seed, Tensor):
        return np.array([seed], np.int64), len(table), row_offset, class_offset
    seeds = seed.numpy(force=True).reshape(-1)
    return np.ascontiguousarray(seeds), len(table) // max(1, len(seeds)), row_offset, class_offset
