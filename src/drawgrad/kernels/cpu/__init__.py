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
    size = _size(out)
    draw, _held = _draw(seed, size[0], row_offset, class_offset)
    for_each_block(_layout(size).noise, size, (out.data_ptr(), size[1], *draw, STREAMS[family]))
    return out.to(dtype)


def gumbel_softmax(
    logits: Tensor, tau: Temperature, seed: Seed, row_offset: int, class_offset: int, hard: bool
) -> Tensor:
    """See :func:`drawgrad.kernels.reference.gumbel_softmax`."""
    plain = _plain(logits)
    sample, size = empty_like(plain), _size(plain)
    layout, tables = _layout(size), (plain.data_ptr(), sample.data_ptr(), size[1])
    draw, _held = _draw(seed, size[0], row_offset, class_offset)
    if hard:
        for_each_block(layout.gumbel_one_hot, size, tables + draw)
    else:
        taus, _held_too = _temperatures(tau, plain)
        for_each_block(layout.gumbel_softmax, size, tables + taus + draw)
    return sample if plain is logits else sample.to(logits.dtype)


def gumbel_softmax_vjp(
    grad: Tensor, logits: Tensor, tau: Temperature, seed: Seed, row_offset: int, class_offset: int
) -> Tensor:
    """See :func:`drawgrad.kernels.reference.gumbel_softmax_vjp`."""
    kernel = _layout(_size(logits)).gumbel_softmax_vjp
    return _from_logits(kernel, grad, logits, tau, seed, row_offset, class_offset)


def gumbel_max(logits: Tensor, seed: Seed, row_offset: int, class_offset: int) -> Tensor:
    """See :func:`drawgrad.kernels.reference.gumbel_max`."""
    plain = _plain(logits)
    index, size = torch.empty(logits.shape[:-1], dtype=torch.int64, device="cpu"), _size(plain)
    draw, _held = _draw(seed, size[0], row_offset, class_offset)
    for_each_block(_layout(size).gumbel_max, size, (plain.data_ptr(), index.data_ptr(), size[1], *draw))
    return index


def gumbel_top_k(logits: Tensor, k: int, seed: Seed, row_offset: int, class_offset: int) -> tuple[Tensor, Tensor]:
    """See :func:`drawgrad.kernels.reference.gumbel_top_k`."""
    plain, size = _plain(logits), _size(logits)
    values = torch.empty((*logits.shape[:-1], k), dtype=torch.float32, device="cpu")
    index = torch.empty(values.shape, dtype=torch.int64, device="cpu")
    if index.numel():
        draw, _held = _draw(seed, size[0], row_offset, class_offset)
        tables = plain.data_ptr(), values.data_ptr(), index.data_ptr(), size[1], k
        for_each_block(top_k.gumbel_top_k, size, tables + draw)
    return values, index


def binary_concrete(
    logits: Tensor, tau: Temperature, seed: Seed, row_offset: int, class_offset: int, hard: bool
) -> Tensor:
    """See :func:`drawgrad.kernels.reference.binary_concrete`."""
    plain = _plain(logits)
    sample, size = empty_like(plain), _size(plain)
    taus, _held = _temperatures(tau, plain)
    draw, _held_too = _draw(seed, size[0], row_offset, class_offset)
    for_each_block(wide.binary_concrete, size, (plain.data_ptr(), sample.data_ptr(), size[1], *taus, *draw, hard))
    return sample if plain is logits else sample.to(logits.dtype)


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
    upstream, plain = _plain(grad), _plain(logits)
    out, size = empty_like(plain), _size(plain)
    taus, _held = _temperatures(tau, plain)
    draw, _held_too = _draw(seed, size[0], *place)
    tables = upstream.data_ptr(), plain.data_ptr(), out.data_ptr(), size[1]
    for_each_block(kernel, size, tables + taus + draw)
    return out if plain is logits else out.to(logits.dtype)


def _from_sample(kernel: Callable[..., None], grad: Tensor, sample: Tensor, tau: Temperature) -> Tensor:
    upstream, plain = _plain(grad), _plain(sample)
    out, size = empty_like(plain), _size(plain)
    taus, _held = _temperatures(tau, plain)
    tables = upstream.data_ptr(), plain.data_ptr(), out.data_ptr(), size[1]
    for_each_block(kernel, size, (*tables, *taus, size[0]))
    return out if plain is sample else out.to(sample.dtype)


def _layout(size: tuple[int, int]) -> ModuleType:
    return narrow if size[1] <= narrow.FEW_CLASSES else wide


def _size(tensor: Tensor) -> tuple[int, int]:
    """Rows and classes; one number is a row of one class."""
    shape = tensor.shape
    if len(shape) == 2:
        return shape
    return tensor.shape[:-1].numel(), shape[-1] if shape else 1


def _groups(seed: Seed) -> tuple[int, ...]:
    return tuple(seed.shape) if isinstance(seed, Tensor) else ()


# Kernels read memory as it lies, float32 and int64 without gaps. Whoever takes an address holds the tensor meanwhile.


def _plain(tensor: Tensor) -> Tensor:
    if not tensor.data_ptr() and tensor.numel():
        raise RuntimeError(
            f"a tensor of shape {tuple(tensor.shape)} has no memory, because its storage was given back, as that of "
            "sharded parameters is between their uses; gather it first"
        )
    if tensor.dtype is torch.float32 and tensor.is_contiguous():
        return tensor
    return tensor.detach().to(torch.float32).contiguous()


def _temperatures(tau: Temperature, like: Tensor) -> tuple[tuple[float, int], Tensor | None]:
    """The temperature of all rows, or the address of one for each; and the tensor that is there."""
    if not isinstance(tau, Tensor):
        return (tau, 0), None
    if tau.numel() == 1:
        return (float(tau.item()), 0), None
    each = _plain(tau.detach().expand(*like.shape[:-1], 1))
    return (0.0, each.data_ptr()), each


def _draw(seed: Seed, rows: int, row_offset: int, class_offset: int) -> tuple[tuple[int, ...], Tensor | None]:
    """The seed of all rows, or the address of one for each group; groups, the rows in each, and where they begin.

    And the tensor that is at the address.
    """
    if not isinstance(seed, Tensor):
        return (seed, 0, 1, rows, row_offset, class_offset), None
    if not seed.dim():
        return (int(seed.item()), 0, 1, rows, row_offset, class_offset), None
    each = seed.contiguous()
    groups = each.numel()
    return (0, each.data_ptr(), groups, rows // max(1, groups), row_offset, class_offset), each
