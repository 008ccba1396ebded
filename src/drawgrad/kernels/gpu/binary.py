"""The operations of the GPU twin that treat every element on its own: noise and the binary relaxation."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
import triton
import triton.language as tl
from torch import Tensor

from drawgrad.kernels.gpu.draw import GUMBEL_STREAM, LOGISTIC_STREAM, gumbel, logistic
from drawgrad.kernels.gpu.tiles import NARROW, Tiling, columns, draw_tile, kernel, locate, temperature

__all__ = ["binary_concrete", "binary_concrete_vjp", "noise", "sigmoid_vjp"]

LOG2_E: tl.constexpr = tl.constexpr(math.log2(math.e))


@kernel
def _noise(
    out,
    rows,
    units,
    seeds,
    row_offset,
    block_offset,
    STREAM: tl.constexpr,
    ALIGN: tl.constexpr,
    SKIP: tl.constexpr,
    ROWS: tl.constexpr,
    BLOCK: tl.constexpr,
    GROUPED: tl.constexpr,
):
    group, row, part = locate(rows, units, ALIGN, SKIP, ROWS, BLOCK, GROUPED, True)
    _, _, at, exists = columns(group, row, part, rows, units, ALIGN, SKIP, BLOCK)
    v = draw_tile(seeds, group, row, part, row_offset, block_offset, STREAM, ROWS, BLOCK)
    if STREAM == LOGISTIC_STREAM:
        drawn = logistic(v)
    else:
        drawn = gumbel(v)
    tl.store(out + at, drawn, mask=exists)


@triton.jit
def _sigmoid(x):
    """1 / (1 + exp(-x)), from the side on which the exponential is at most one."""
    small = tl.exp2(-tl.abs(x) * LOG2_E)
    y = 1.0 / (1.0 + small)
    return tl.where(x < 0.0, small * y, y)


@kernel
def _binary(
    grad,
    source,
    out,
    tau,
    tau_stride,
    rows,
    units,
    seeds,
    row_offset,
    block_offset,
    DRAW: tl.constexpr,
    HARD: tl.constexpr,
    GRAD: tl.constexpr,
    ALIGN: tl.constexpr,
    SKIP: tl.constexpr,
    ROWS: tl.constexpr,
    BLOCK: tl.constexpr,
    GROUPED: tl.constexpr,
):
    """The sample, or its gradient if ``GRAD``. ``source`` holds logits if ``DRAW``, else the sample."""
    group, row, part = locate(rows, units, ALIGN, SKIP, ROWS, BLOCK, GROUPED, True)
    number, _, at, exists = columns(group, row, part, rows, units, ALIGN, SKIP, BLOCK)
    value = tl.load(source + at, mask=exists, other=0.0).to(tl.float32)
    temperature = tl.load(tau + number * tau_stride, mask=row < rows, other=1.0)
    if DRAW:
        scores = value + logistic(
            draw_tile(seeds, group, row, part, row_offset, block_offset, LOGISTIC_STREAM, ROWS, BLOCK)
        )
        if HARD:
            value = tl.where(scores == scores, tl.where(scores > 0.0, 1.0, 0.0), scores)
        else:
            value = _sigmoid(scores / temperature)
    if GRAD:
        slope = value * (1.0 - value)
        upstream = tl.load(grad + at, mask=exists, other=0.0).to(tl.float32)
        value = tl.where(slope == 0.0, 0.0, upstream * slope) / temperature
    tl.store(out + at, value, mask=exists)


STREAMS = {"gumbel": GUMBEL_STREAM, "logistic": LOGISTIC_STREAM}


def noise(
    seed: Tensor, shape: Sequence[int], row_offset: int, class_offset: int, family: str, dtype: torch.dtype
) -> Tensor:
    """See :func:`drawgrad.kernels.reference.noise`."""
    out = torch.empty((*seed.shape, *shape), dtype=dtype, device=seed.device)
    if out.numel():
        tiling = Tiling.of(out, seed, class_offset, NARROW)
        tiling.run(_noise, out=out, STREAM=STREAMS[family], **tiling.draw(seed, row_offset))
    return out


def binary_concrete(
    logits: Tensor, tau: Tensor | float, seed: Tensor, row_offset: int, class_offset: int, hard: bool
) -> Tensor:
    """See :func:`drawgrad.kernels.reference.binary_concrete`."""
    return _run(logits, logits, tau, seed, row_offset, class_offset, HARD=hard, GRAD=False)


def binary_concrete_vjp(
    grad: Tensor, logits: Tensor, tau: Tensor | float, seed: Tensor, row_offset: int, class_offset: int
) -> Tensor:
    """See :func:`drawgrad.kernels.reference.binary_concrete_vjp`."""
    return _run(grad, logits, tau, seed, row_offset, class_offset, HARD=False, GRAD=True)


def sigmoid_vjp(grad: Tensor, sample: Tensor, tau: Tensor | float) -> Tensor:
    """See :func:`drawgrad.kernels.reference.sigmoid_vjp`."""
    return _run(grad, sample, tau, None, 0, 0, HARD=False, GRAD=True)


def _run(
    grad: Tensor,
    source: Tensor,
    tau: Tensor | float,
    seed: Tensor | None,
    row_offset: int,
    class_offset: int,
    **flags: bool,
) -> Tensor:
    out = torch.empty(source.shape, dtype=source.dtype, device=source.device)
    if not out.numel():
        return out
    tiling = Tiling.of(source, seed, class_offset, NARROW)
    tiling.run(
        _binary,
        grad=grad.contiguous(),
        source=source.contiguous(),
        out=out,
        DRAW=seed is not None,
        **temperature(tau, source),
        **tiling.draw(seed, row_offset),
        **flags,
    )
    return out
