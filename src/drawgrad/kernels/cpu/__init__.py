"""The CPU twin: Numba kernels over blocks of rows in a thread pool.

Signatures are those of the reference twin, except that temperature and seed may be numbers: a small call is mostly
overhead, and is spared the tensors. Narrow dtypes are widened before and rounded after; float64 does not come here.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from types import ModuleType

import torch
from torch import Tensor

from drawgrad.kernels.cpu import narrow, top_k, wide
from drawgrad.kernels.cpu.memory import empty, empty_like
from drawgrad.kernels.cpu.pool import for_each_block
from drawgrad.kernels.philox import GUMBEL_STREAM, LOGISTIC_STREAM

__all__ = [
    "binary_concrete",
    "binary_concrete_vjp",
    "gumbel_max",
    "gumbel_softmax",
    "gumbel_softmax_vjp",
    "gumbel_top_k",
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
    size, seed = _size(out), _plain_seed(seed)
    draw = _draw(seed, size[0], row_offset, class_offset)
    for_each_block(wide.noise, size, (out.data_ptr(), size[1], *draw, STREAMS[family]))
    return out.to(dtype)


def gumbel_softmax(
    logits: Tensor, tau: Temperature, seed: Seed, row_offset: int, class_offset: int, hard: bool
) -> Tensor:
    """See :func:`drawgrad.kernels.reference.gumbel_softmax`."""
    sample, size = empty_like(logits), _size(logits)
    plain, tau, seed = _plain(logits), _plain_temperature(tau, logits), _plain_seed(seed)
    tables = plain.data_ptr(), sample.data_ptr(), size[1]
    draw = _draw(seed, size[0], row_offset, class_offset)
    if hard:
        for_each_block(_layout(size).gumbel_one_hot, size, (*tables, *draw))
    else:
        for_each_block(_layout(size).gumbel_softmax, size, (*tables, *_each(tau), *draw))
    return _narrowed(sample, logits)


def gumbel_softmax_vjp(
    grad: Tensor, logits: Tensor, tau: Temperature, seed: Seed, row_offset: int, class_offset: int
) -> Tensor:
    """See :func:`drawgrad.kernels.reference.gumbel_softmax_vjp`."""
    return _from_logits(_layout(_size(logits)).gumbel_softmax_vjp, grad, logits, tau, seed, row_offset, class_offset)


def gumbel_max(logits: Tensor, seed: Seed, row_offset: int, class_offset: int) -> Tensor:
    """See :func:`drawgrad.kernels.reference.gumbel_max`."""
    index, size = torch.empty(logits.shape[:-1], dtype=torch.int64), _size(logits)
    plain, seed = _plain(logits), _plain_seed(seed)
    draw = _draw(seed, size[0], row_offset, class_offset)
    for_each_block(_layout(size).gumbel_max, size, (plain.data_ptr(), index.data_ptr(), size[1], *draw))
    return index


def gumbel_top_k(logits: Tensor, k: int, seed: Seed, row_offset: int, class_offset: int) -> tuple[Tensor, Tensor]:
    """See :func:`drawgrad.kernels.reference.gumbel_top_k`."""
    values, size = torch.empty((*logits.shape[:-1], k)), _size(logits)
    index = torch.empty(values.shape, dtype=torch.int64)
    plain, seed = _plain(logits), _plain_seed(seed)
    if index.numel():
        tables = plain.data_ptr(), values.data_ptr(), index.data_ptr(), size[1], k
        for_each_block(top_k.gumbel_top_k, size, (*tables, *_draw(seed, size[0], row_offset, class_offset)))
    return values, index


def binary_concrete(
    logits: Tensor, tau: Temperature, seed: Seed, row_offset: int, class_offset: int, hard: bool
) -> Tensor:
    """See :func:`drawgrad.kernels.reference.binary_concrete`."""
    sample, size = empty_like(logits), _size(logits)
    plain, tau, seed = _plain(logits), _plain_temperature(tau, logits), _plain_seed(seed)
    draw = _draw(seed, size[0], row_offset, class_offset)
    arguments = (plain.data_ptr(), sample.data_ptr(), size[1], *_each(tau), *draw, hard)
    for_each_block(wide.binary_concrete, size, arguments)
    return _narrowed(sample, logits)


def binary_concrete_vjp(
    grad: Tensor, logits: Tensor, tau: Temperature, seed: Seed, row_offset: int, class_offset: int
) -> Tensor:
    """See :func:`drawgrad.kernels.reference.binary_concrete_vjp`."""
    return _from_logits(wide.binary_concrete_vjp, grad, logits, tau, seed, row_offset, class_offset)


def softmax_vjp(grad: Tensor, sample: Tensor, tau: Temperature) -> Tensor:
    """See :func:`drawgrad.kernels.reference.softmax_vjp`."""
    return _from_sample(wide.softmax_vjp, grad, sample, tau)


def sigmoid_vjp(grad: Tensor, sample: Tensor, tau: Temperature) -> Tensor:
    """See :func:`drawgrad.kernels.reference.sigmoid_vjp`."""
    return _from_sample(wide.sigmoid_vjp, grad, sample, tau)


def _from_logits(
    kernel: Callable[..., None], grad: Tensor, logits: Tensor, tau: Temperature, seed: Seed, *place: int
) -> Tensor:
    out, size = empty_like(logits), _size(logits)
    upstream, plain, tau, seed = _plain(grad), _plain(logits), _plain_temperature(tau, logits), _plain_seed(seed)
    tables = upstream.data_ptr(), plain.data_ptr(), out.data_ptr(), size[1]
    for_each_block(kernel, size, (*tables, *_each(tau), *_draw(seed, size[0], *place)))
    return _narrowed(out, logits)


def _from_sample(kernel: Callable[..., None], grad: Tensor, sample: Tensor, tau: Temperature) -> Tensor:
    out, size = empty_like(sample), _size(sample)
    upstream, plain, tau = _plain(grad), _plain(sample), _plain_temperature(tau, sample)
    tables = upstream.data_ptr(), plain.data_ptr(), out.data_ptr(), size[1]
    for_each_block(kernel, size, (*tables, *_each(tau), size[0]))
    return _narrowed(out, sample)


def _narrowed(result: Tensor, like: Tensor) -> Tensor:
    return result if like.dtype is torch.float32 else result.to(like.dtype)


def _layout(size: tuple[int, int]) -> ModuleType:
    return narrow if size[1] <= narrow.FEW_CLASSES else wide


def _size(tensor: Tensor) -> tuple[int, int]:
    """Rows and classes; one number is a row of one class."""
    shape = tensor.shape
    if len(shape) == 2:
        return shape
    rows = 1
    for size in shape[:-1]:
        rows *= size
    return rows, shape[-1] if shape else 1


# Kernels read memory as it lies: float32 and int64 without gaps. Whoever takes an address holds the tensor meanwhile.


def _plain(tensor: Tensor) -> Tensor:
    if tensor.dtype is torch.float32 and tensor.is_contiguous():
        return tensor
    return tensor.detach().to(torch.float32).contiguous()


def _plain_temperature(tau: Temperature, like: Tensor) -> Temperature:
    """One for each row, or a number."""
    if not isinstance(tau, Tensor):
        return tau
    return tau.item() if tau.numel() == 1 else _plain(tau.detach().expand(*like.shape[:-1], 1))


def _each(tau: Temperature) -> tuple[float, int]:
    return (1.0, tau.data_ptr()) if isinstance(tau, Tensor) else (tau, 0)


def _groups(seed: Seed) -> tuple[int, ...]:
    return tuple(seed.shape) if isinstance(seed, Tensor) else ()


def _plain_seed(seed: Seed) -> Seed:
    """One for each group, or a number."""
    if not isinstance(seed, Tensor):
        return seed
    return seed.contiguous() if seed.dim() else int(seed.item())


def _draw(seed: Seed, rows: int, row_offset: int, class_offset: int) -> tuple[int, int, int, int, int, int]:
    """The seeds of all groups, the groups and the rows in each, and where its rows and classes begin."""
    if not isinstance(seed, Tensor):
        return seed, 0, 1, rows, row_offset, class_offset
    groups = seed.numel()
    return 0, seed.data_ptr(), groups, rows // max(1, groups), row_offset, class_offset
