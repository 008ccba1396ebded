"""The CPU twin: Numba kernels over blocks of rows in a thread pool.

Signatures are those of the reference twin. Other dtypes than float32 pass through it: narrow ones are widened before
and rounded after, and float64, which is for checking, is left to the reference.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor

from drawgrad.kernels import reference
from drawgrad.kernels.cpu import narrow, wide
from drawgrad.kernels.cpu.memory import empty
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


def noise(
    seed: Tensor, rows: int, classes: int, row_offset: int, class_offset: int, family: str, dtype: torch.dtype
) -> Tensor:
    """See :func:`drawgrad.kernels.reference.noise`."""
    if dtype == torch.float64:
        return reference.noise(seed, rows, classes, row_offset, class_offset, family, dtype)
    out = empty((seed.shape[0], rows, classes), torch.float32)
    _run(wide.noise, out, (_table(out),), *_draw(seed, rows, row_offset, class_offset), STREAMS[family])
    return out.to(dtype)


def gumbel_softmax(logits: Tensor, tau: Tensor, seed: Tensor, row_offset: int, class_offset: int, hard: bool) -> Tensor:
    """See :func:`drawgrad.kernels.reference.gumbel_softmax`."""
    if logits.dtype == torch.float64:
        return reference.gumbel_softmax(logits, tau, seed, row_offset, class_offset, hard)
    sample = empty(logits.shape, torch.float32)
    table, out, draw = _table(logits), _table(sample), _draw(seed, logits.shape[1], row_offset, class_offset)
    if not hard:
        _run(_layout(logits).gumbel_softmax, sample, (table, out, _flat(tau)), *draw)
        return sample.to(logits.dtype)
    index = np.empty(len(table), np.int64)
    find = _layout(logits).gumbel_max

    def mark(start: int, stop: int) -> None:
        find(table, index, *draw, start, stop)
        wide.one_hot(table, index, out, start, stop)

    for_each_block(mark, len(table), sample.numel())
    return sample.to(logits.dtype)


def gumbel_softmax_vjp(
    grad: Tensor, logits: Tensor, tau: Tensor, seed: Tensor, row_offset: int, class_offset: int
) -> Tensor:
    """See :func:`drawgrad.kernels.reference.gumbel_softmax_vjp`."""
    if logits.dtype == torch.float64:
        return reference.gumbel_softmax_vjp(grad, logits, tau, seed, row_offset, class_offset)
    out = empty(logits.shape, torch.float32)
    tables = (_table(grad), _table(logits), _table(out), _flat(tau))
    _run(_layout(logits).gumbel_softmax_vjp, out, tables, *_draw(seed, logits.shape[1], row_offset, class_offset))
    return out.to(logits.dtype)


def softmax_vjp(grad: Tensor, sample: Tensor, tau: Tensor) -> Tensor:
    """See :func:`drawgrad.kernels.reference.softmax_vjp`."""
    if sample.dtype == torch.float64:
        return reference.softmax_vjp(grad, sample, tau)
    out = empty(sample.shape, torch.float32)
    _run(wide.softmax_vjp, out, (_table(grad), _table(sample), _table(out), _flat(tau)))
    return out.to(sample.dtype)


def sigmoid_vjp(grad: Tensor, sample: Tensor, tau: Tensor) -> Tensor:
    """See :func:`drawgrad.kernels.reference.sigmoid_vjp`."""
    if sample.dtype == torch.float64:
        return reference.sigmoid_vjp(grad, sample, tau)
    out = empty(sample.shape, torch.float32)
    _run(wide.sigmoid_vjp, out, (_table(grad), _table(sample), _table(out), _flat(tau)))
    return out.to(sample.dtype)


def gumbel_max(logits: Tensor, seed: Tensor, row_offset: int, class_offset: int) -> Tensor:
    """See :func:`drawgrad.kernels.reference.gumbel_max`."""
    if logits.dtype == torch.float64:
        return reference.gumbel_max(logits, seed, row_offset, class_offset)
    index = torch.empty(logits.shape[:-1], dtype=torch.int64)
    draw = _draw(seed, logits.shape[1], row_offset, class_offset)
    _run(_layout(logits).gumbel_max, logits, (_table(logits), index.view(-1).numpy()), *draw)
    return index


def binary_concrete(
    logits: Tensor, tau: Tensor, seed: Tensor, row_offset: int, class_offset: int, hard: bool
) -> Tensor:
    """See :func:`drawgrad.kernels.reference.binary_concrete`."""
    if logits.dtype == torch.float64:
        return reference.binary_concrete(logits, tau, seed, row_offset, class_offset, hard)
    sample = empty(logits.shape, torch.float32)
    tables = (_table(logits), _table(sample), _flat(tau))
    _run(wide.binary_concrete, sample, tables, *_draw(seed, logits.shape[1], row_offset, class_offset), hard)
    return sample.to(logits.dtype)


def binary_concrete_vjp(
    grad: Tensor, logits: Tensor, tau: Tensor, seed: Tensor, row_offset: int, class_offset: int
) -> Tensor:
    """See :func:`drawgrad.kernels.reference.binary_concrete_vjp`."""
    if logits.dtype == torch.float64:
        return reference.binary_concrete_vjp(grad, logits, tau, seed, row_offset, class_offset)
    out = empty(logits.shape, torch.float32)
    tables = (_table(grad), _table(logits), _table(out), _flat(tau))
    _run(wide.binary_concrete_vjp, out, tables, *_draw(seed, logits.shape[1], row_offset, class_offset))
    return out.to(logits.dtype)


def _run(kernel: Callable[..., None], like: Tensor, tables: tuple[Any, ...], *rest: Any) -> None:
    """Run a kernel over all rows of ``like``."""
    groups, rows, _ = like.shape
    for_each_block(lambda start, stop: kernel(*tables, *rest, start, stop), groups * rows, like.numel())


def _layout(logits: Tensor) -> Any:
    return narrow if logits.shape[-1] <= narrow.FEW_CLASSES else wide


def _table(tensor: Tensor) -> Any:
    """The rows of all groups as one float32 array; no copy of a contiguous one."""
    groups, rows, classes = tensor.shape
    return tensor.detach().to(torch.float32).contiguous().numpy().reshape(groups * rows, classes)


def _flat(tau: Tensor) -> Any:
    return tau.detach().contiguous().numpy().reshape(-1)


def _draw(seed: Tensor, rows: int, row_offset: int, class_offset: int) -> tuple[Any, int, int, int]:
    return seed.contiguous().numpy(), rows, row_offset, class_offset
