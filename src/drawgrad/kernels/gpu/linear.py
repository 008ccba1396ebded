"""The winner of a linear layer's perturbed outputs: a matrix product whose tiles never leave the chip."""

from __future__ import annotations

import torch
import triton
import triton.language as tl
from torch import Tensor

from drawgrad.kernels.gpu.categorical import score_of, unpack
from drawgrad.kernels.gpu.draw import GUMBEL_STREAM, gumbel, random_uniforms
from drawgrad.kernels.gpu.rows import pack
from drawgrad.kernels.gpu.tiles import WORDS_AT_ONCE, on_device, temperature
from drawgrad.kernels.linear import in_blocks
from drawgrad.kernels.philox import WORDS
from drawgrad.kernels.reference import compute_dtype

__all__ = ["linear_winner"]

CLASSES = 128
"""Classes of a tile."""
FEWEST_ROWS, MOST_ROWS = 16, 128
"""Rows of a tile: what the matrix units take at least, and what leaves room for three stages in shared memory."""
FEATURE_BYTES = 128
"""Features that are multiplied at a time, in bytes."""
MOST_CLASSES = (1 << 31) - 2 * CLASSES
"""Classes that 32 bits number, up to the end of the last tile."""
PROGRAMS = 512
"""Programs that keep a large GPU busy; more of them would reduce more often."""

LEAST: tl.constexpr = tl.constexpr(-(2**63))


@triton.jit(do_not_specialize=["rows", "classes", "blocks", "row_offset", "block_offset", "tau_stride"])
def _winner(
    hidden,
    weight,
    bias,
    tau,
    winner,
    tau_stride,
    rows,
    classes,
    features,
    blocks,
    seeds,
    row_offset,
    block_offset,
    BIAS: tl.constexpr,
    PRECISION: tl.constexpr,
    SKIP: tl.constexpr,
    ROWS: tl.constexpr,
    BLOCK: tl.constexpr,
    FEATURES: tl.constexpr,
):
    """The key of each row's winner among ``blocks`` blocks of classes. Neighboring programs read the same weights."""
    tiles = (rows + ROWS - 1) // ROWS
    stop = (classes + SKIP + BLOCK - 1) // BLOCK
    split = tl.program_id(0) // tiles
    first_row = (tl.program_id(0) % tiles).to(tl.int64) * ROWS
    # Places within a tile fit into 32 bits, which spares registers.
    r, j = tl.arange(0, ROWS)[:, None], tl.arange(0, BLOCK)[None, :]
    row = first_row + r
    inverse_tau = 1.0 / tl.load(tau + row * tau_stride, mask=row < rows, other=1.0)
    seed = tl.load(seeds)
    best = tl.full([ROWS, 1], LEAST, tl.int64)
    for block in range(split * blocks, tl.minimum(stop, (split + 1) * blocks)):
        first = block * BLOCK - SKIP
        k = first + j
        exists = (k >= 0) & (k < classes)
        hidden_of_tile = hidden + first_row * features
        weight_of_tile = weight + tl.cast(first, tl.int64) * features
        product = tl.zeros([ROWS, BLOCK], tl.float32)
        for begin in range(0, features, FEATURES):
            f = begin + tl.arange(0, FEATURES)
            inputs = tl.load(
                hidden_of_tile + (r * features + f[None, :]), mask=(row < rows) & (f[None, :] < features), other=0.0
            )
            weights = tl.load(
                weight_of_tile + (j * features + f[:, None]), mask=exists & (f[:, None] < features), other=0.0
            )
            product = tl.dot(inputs, weights, product, input_precision=PRECISION)
        if BIAS:
            product += tl.load(bias + k, mask=exists, other=0.0).to(tl.float32)
        evaluation = block * (BLOCK // WORDS_AT_ONCE) + tl.arange(0, BLOCK // WORDS_AT_ONCE)[None, :]
        evaluation = (evaluation + tl.cast(block_offset, tl.int64)).to(tl.uint32)
        v = random_uniforms(seed, evaluation, row + row_offset, GUMBEL_STREAM, ROWS, BLOCK)
        scores = tl.where(exists, product * inverse_tau + gumbel(v), float("-inf"))
        best = tl.maximum(best, tl.max(pack(scores, k), 1, keep_dims=True))
    splits = (stop + blocks - 1) // blocks
    tl.store(winner + row * splits + split, best, mask=row < rows)


def linear_winner(
    hidden: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    tau: Tensor,
    seed: Tensor,
    row_offset: int,
    class_offset: int,
) -> tuple[Tensor, Tensor]:
    """See :func:`drawgrad.kernels.linear.linear_winner`."""
    empty = not hidden.numel() or not weight.numel()
    if empty or compute_dtype(hidden.dtype) != torch.float32 or weight.shape[0] > MOST_CLASSES:
        return in_blocks(hidden, weight, bias, tau, seed, row_offset, class_offset)
    (rows, features), classes = hidden.shape, weight.shape[0]
    skip = class_offset % WORDS
    tile_rows = min(max(FEWEST_ROWS, triton.next_power_of_2(rows)), MOST_ROWS)
    tiles, stop = triton.cdiv(rows, tile_rows), triton.cdiv(classes + skip, CLASSES)
    blocks = triton.cdiv(stop * tiles, PROGRAMS)
    splits = triton.cdiv(stop, blocks)
    winner = torch.empty((rows, splits), dtype=torch.int64, device=hidden.device)
    with on_device(hidden.device):
        _winner[(tiles * splits,)](
            hidden=hidden.contiguous(),
            weight=weight.contiguous(),
            bias=bias if bias is None else bias.contiguous(),
            **temperature(tau, hidden),
            winner=winner,
            rows=rows,
            classes=classes,
            features=features,
            blocks=blocks,
            seeds=seed.reshape(-1),
            row_offset=row_offset,
            block_offset=class_offset // WORDS,
            BIAS=bias is not None,
            PRECISION=_precision(hidden),
            SKIP=skip,
            ROWS=tile_rows,
            BLOCK=CLASSES,
            FEATURES=FEATURE_BYTES // hidden.element_size(),
            num_warps=4 if tile_rows < MOST_ROWS else 8,
            num_stages=3,
        )
    winner = winner.amax(-1)
    return score_of(winner), unpack(winner)


def _precision(hidden: Tensor) -> str:
    """Three products of TF32 make one of float32, on matrix units that have it; others multiply float32 as it is."""
    has_tf32 = (
        hidden.is_cuda and torch.version.hip is None and torch.cuda.get_device_capability(hidden.device) >= (8, 0)
    )
    return "tf32x3" if has_tf32 and hidden.dtype == torch.float32 else "ieee"
