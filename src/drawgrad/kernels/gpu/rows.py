"""Kernels of operations that look at a whole row: softmax, its derivative, and the largest entry.

A row that fits into the registers of one program is read once and written once. Of a longer one each program takes a
part: a first kernel reduces every part to a few numbers, and a second one combines those of the row and finishes its
part. It draws the noise again: storing it would cost as much memory as the sample.

``tau`` holds one temperature, with ``tau_stride`` zero, or one for each row.
"""

from __future__ import annotations

import math

import triton
import triton.language as tl

from drawgrad.kernels import philox
from drawgrad.kernels.gpu.draw import GUMBEL_STREAM, gumbel
from drawgrad.kernels.gpu.tiles import columns, draw_tile, kernel, locate

__all__ = ["gumbel_max", "gumbel_softmax", "one_hot", "pack", "reduce_parts", "softmax_vjp"]

LOG2_E: tl.constexpr = tl.constexpr(math.log2(math.e))
MINUS_INFINITY: tl.constexpr = tl.constexpr(-math.inf)
MAGNITUDE: tl.constexpr = tl.constexpr(0x7FFFFFFF)
NAN_KEY: tl.constexpr = tl.constexpr(0x7FFFFFFF)
NOTHING_KEY: tl.constexpr = tl.constexpr(-0x7F800001)
"""The key of minus infinity."""
WORD: tl.constexpr = tl.constexpr(philox.WORD)
CHUNK: tl.constexpr = tl.constexpr(1024)
"""Parts of a row that are combined at a time."""


@triton.jit
def _exponentials(scores, top, scale):
    """exp((scores - top) / tau) for ``scale = log2(e) / tau``; zero where nothing is allowed."""
    # The maximum is subtracted before the division: a small tau cannot overflow.
    return tl.exp2((scores - tl.where(top == MINUS_INFINITY, 0.0, top)) * scale)


@triton.jit
def _inverse(total):
    """1 / total; one for the sum of a row in which nothing is allowed, whose weights are all zero."""
    return 1.0 / tl.where(total == 0.0, 1.0, total)


@triton.jit
def _weighted_sum(weights, grad):
    """Sum of weights * grad over the classes whose weight is not zero; ``grad`` may hold anything elsewhere."""
    return tl.sum(tl.where(weights == 0.0, 0.0, weights * grad), 1, keep_dims=True)


@triton.jit
def _combine(tops, totals, dots, first, parts, scale, GRAD: tl.constexpr):
    """Largest score of a row, its sum of exponentials relative to that, and their weighted sum, from those of parts."""
    p = tl.arange(0, CHUNK)[None, :]
    top = tl.full([1, 1], MINUS_INFINITY, tl.float32)
    for begin in range(0, parts, CHUNK):
        of_part = tl.load(tops + first + begin + p, mask=begin + p < parts, other=MINUS_INFINITY)
        top = tl.maximum(top, tl.max(of_part, 1, keep_dims=True))
    total = tl.zeros([1, 1], tl.float32)
    dot = tl.zeros([1, 1], tl.float32)
    for begin in range(0, parts, CHUNK):
        at, exists = first + begin + p, begin + p < parts
        weights = _exponentials(tl.load(tops + at, mask=exists, other=MINUS_INFINITY), top, scale)
        total += tl.sum(weights * tl.load(totals + at, mask=exists, other=0.0), 1, keep_dims=True)
        if GRAD:
            dot += _weighted_sum(weights, tl.load(dots + at, mask=exists, other=0.0))
    return top, total, dot


@kernel
def reduce_parts(
    grad,
    source,
    tau,
    tops,
    totals,
    dots,
    tau_stride,
    parts,
    rows,
    units,
    seeds,
    row_offset,
    block_offset,
    DRAW: tl.constexpr,
    GRAD: tl.constexpr,
    ALIGN: tl.constexpr,
    SKIP: tl.constexpr,
    ROWS: tl.constexpr,
    BLOCK: tl.constexpr,
    GROUPED: tl.constexpr,
):
    """What a part adds to its row, see :func:`_combine`; ``source`` holds logits if ``DRAW``, else the sample."""
    group, row, part = locate(rows, units, ALIGN, SKIP, ROWS, BLOCK, GROUPED, True)
    number, _, at, exists = columns(group, row, part, rows, units, ALIGN, SKIP, BLOCK)
    here = number * parts + part
    if DRAW:
        v = draw_tile(seeds, group, row, part, row_offset, block_offset, GUMBEL_STREAM, ROWS, BLOCK)
        scores = tl.load(source + at, mask=exists, other=MINUS_INFINITY).to(tl.float32) + gumbel(v)
        top = tl.max(scores, 1, keep_dims=True)
        weights = _exponentials(scores, top, LOG2_E / tl.load(tau + number * tau_stride))
        tl.store(tops + here, top)
        tl.store(totals + here, tl.sum(weights, 1, keep_dims=True))
    else:
        weights = tl.load(source + at, mask=exists, other=0.0).to(tl.float32)
        tl.store(tops + here, tl.zeros([ROWS, 1], tl.float32))
    if GRAD:
        tl.store(dots + here, _weighted_sum(weights, tl.load(grad + at, mask=exists, other=0.0).to(tl.float32)))


@kernel
def gumbel_softmax(
    logits,
    sample,
    tau,
    tops,
    totals,
    dots,
    tau_stride,
    parts,
    rows,
    units,
    seeds,
    row_offset,
    block_offset,
    SPLIT: tl.constexpr,
    ALIGN: tl.constexpr,
    SKIP: tl.constexpr,
    ROWS: tl.constexpr,
    BLOCK: tl.constexpr,
    GROUPED: tl.constexpr,
):
    group, row, part = locate(rows, units, ALIGN, SKIP, ROWS, BLOCK, GROUPED, SPLIT)
    number, _, at, exists = columns(group, row, part, rows, units, ALIGN, SKIP, BLOCK)
    v = draw_tile(seeds, group, row, part, row_offset, block_offset, GUMBEL_STREAM, ROWS, BLOCK)
    scores = tl.load(logits + at, mask=exists, other=MINUS_INFINITY).to(tl.float32) + gumbel(v)
    scale = LOG2_E / tl.load(tau + number * tau_stride, mask=row < rows, other=1.0)
    if SPLIT:
        top, total, _ = _combine(tops, totals, dots, number * parts, parts, scale, False)
        weights = _exponentials(scores, top, scale)
    else:
        weights = _exponentials(scores, tl.max(scores, 1, keep_dims=True), scale)
        total = tl.sum(weights, 1, keep_dims=True)
    tl.store(sample + at, weights * _inverse(total), mask=exists)


@kernel
def softmax_vjp(
    grad,
    source,
    out,
    tau,
    tops,
    totals,
    dots,
    tau_stride,
    parts,
    rows,
    units,
    seeds,
    row_offset,
    block_offset,
    DRAW: tl.constexpr,
    SPLIT: tl.constexpr,
    ALIGN: tl.constexpr,
    SKIP: tl.constexpr,
    ROWS: tl.constexpr,
    BLOCK: tl.constexpr,
    GROUPED: tl.constexpr,
):
    """y (grad - <grad, y>) / tau: ``source`` holds logits, whose sample y is drawn again, if ``DRAW``, else y."""
    group, row, part = locate(rows, units, ALIGN, SKIP, ROWS, BLOCK, GROUPED, SPLIT)
    number, _, at, exists = columns(group, row, part, rows, units, ALIGN, SKIP, BLOCK)
    upstream = tl.load(grad + at, mask=exists, other=0.0).to(tl.float32)
    inverse_tau = 1.0 / tl.load(tau + number * tau_stride, mask=row < rows, other=1.0)
    scale = inverse_tau * LOG2_E
    if SPLIT:
        top, total, dot = _combine(tops, totals, dots, number * parts, parts, scale, True)
    if DRAW:
        v = draw_tile(seeds, group, row, part, row_offset, block_offset, GUMBEL_STREAM, ROWS, BLOCK)
        scores = tl.load(source + at, mask=exists, other=MINUS_INFINITY).to(tl.float32) + gumbel(v)
        if not SPLIT:
            top = tl.max(scores, 1, keep_dims=True)
        y = _exponentials(scores, top, scale)
        if not SPLIT:
            total = tl.sum(y, 1, keep_dims=True)
            dot = _weighted_sum(y, upstream)
        y *= _inverse(total)
        mean = dot * _inverse(total)
    else:
        y = tl.load(source + at, mask=exists, other=0.0).to(tl.float32)
        if SPLIT:
            mean = dot
        else:
            mean = _weighted_sum(y, upstream)
    tl.store(out + at, tl.where(y == 0.0, 0.0, y * (upstream - mean) * inverse_tau), mask=exists)


@triton.jit
def pack(scores, k):
    """int64 keys ordered by score, NaN and +inf first, and among equal scores by class, the lowest first."""
    bits = scores.to(tl.int32, bitcast=True)
    key = tl.where(scores < float("inf"), bits ^ ((bits >> 31) & MAGNITUDE), NAN_KEY)
    return (key.to(tl.int64) << 32) | ((k.to(tl.int64) & WORD) ^ WORD)


@kernel
def gumbel_max(
    logits,
    winner,
    parts,
    rows,
    units,
    seeds,
    row_offset,
    block_offset,
    SPLIT: tl.constexpr,
    ALIGN: tl.constexpr,
    SKIP: tl.constexpr,
    ROWS: tl.constexpr,
    BLOCK: tl.constexpr,
    GROUPED: tl.constexpr,
):
    """The key of the largest score of each part."""
    group, row, part = locate(rows, units, ALIGN, SKIP, ROWS, BLOCK, GROUPED, SPLIT)
    number, k, at, exists = columns(group, row, part, rows, units, ALIGN, SKIP, BLOCK)
    v = draw_tile(seeds, group, row, part, row_offset, block_offset, GUMBEL_STREAM, ROWS, BLOCK)
    scores = tl.load(logits + at, mask=exists, other=MINUS_INFINITY).to(tl.float32) + gumbel(v)
    tl.store(winner + number * parts + part, tl.max(pack(scores, k), 1, keep_dims=True), mask=row < rows)


@kernel
def one_hot(
    winner,
    sample,
    rows,
    units,
    ALIGN: tl.constexpr,
    SKIP: tl.constexpr,
    ROWS: tl.constexpr,
    BLOCK: tl.constexpr,
    GROUPED: tl.constexpr,
):
    """The one-hot rows of the winners' keys; zero for nothing allowed, NaN for a NaN."""
    group, row, part = locate(rows, units, ALIGN, SKIP, ROWS, BLOCK, GROUPED, True)
    number, k, at, exists = columns(group, row, part, rows, units, ALIGN, SKIP, BLOCK)
    packed = tl.load(winner + number, mask=row < rows, other=0)
    key = packed >> 32
    chosen = (k == (packed & WORD) ^ WORD) & (key != NOTHING_KEY)
    # Not a global constant: Triton checks that those have not changed, and NaN is never equal to itself.
    nan = float("nan")
    tl.store(sample + at, tl.where(key == NAN_KEY, nan, tl.where(chosen, 1.0, 0.0)), mask=exists)
