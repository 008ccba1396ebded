"""The categorical operations of the GPU twin: which kernels run, and on which tiles."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from drawgrad.kernels import reference
from drawgrad.kernels.gpu import rows
from drawgrad.kernels.gpu.tiles import NARROW, Tiling, temperature
from drawgrad.kernels.philox import WORD

__all__ = ["gumbel_max", "gumbel_softmax", "gumbel_softmax_vjp", "score_of", "softmax_vjp", "unpack"]

WHOLE = 32768
"""Columns of the widest row that one program holds in its registers."""
PART = 8192
"""Columns of a part of a row that does not fit."""
FEW_ROWS = 128
"""Rows below which programs of whole rows leave most of a GPU idle."""


def gumbel_softmax(
    logits: Tensor, tau: Tensor | float, seed: Tensor, row_offset: int, class_offset: int, hard: bool
) -> Tensor:
    """See :func:`drawgrad.kernels.reference.gumbel_softmax`."""
    sample = torch.empty(logits.shape, dtype=logits.dtype, device=logits.device)
    if not sample.numel():
        return sample
    if hard:
        winner = _winner(logits, seed, row_offset, class_offset)
        Tiling.of(logits, seed, 0, NARROW).run(rows.one_hot, winner=winner, sample=sample)
        return sample
    tiling = _tiling(logits, seed, class_offset)
    shared = {**temperature(tau, logits), **_sums(tiling), **tiling.draw(seed, row_offset)}
    logits = logits.contiguous()
    if tiling.parts > 1:
        tiling.run(rows.reduce_parts, grad=logits, source=logits, DRAW=True, GRAD=False, **shared)
    tiling.run(rows.gumbel_softmax, logits=logits, sample=sample, SPLIT=tiling.parts > 1, **shared)
    return sample


def gumbel_softmax_vjp(
    grad: Tensor, logits: Tensor, tau: Tensor | float, seed: Tensor, row_offset: int, class_offset: int
) -> Tensor:
    """See :func:`drawgrad.kernels.reference.gumbel_softmax_vjp`."""
    return _vjp(grad, logits, tau, seed, row_offset, class_offset)


def softmax_vjp(grad: Tensor, sample: Tensor, tau: Tensor | float) -> Tensor:
    """See :func:`drawgrad.kernels.reference.softmax_vjp`."""
    return _vjp(grad, sample, tau, None, 0, 0)


def _vjp(
    grad: Tensor, source: Tensor, tau: Tensor | float, seed: Tensor | None, row_offset: int, class_offset: int
) -> Tensor:
    out = torch.empty(source.shape, dtype=source.dtype, device=source.device)
    if not out.numel():
        return out
    tiling = _tiling(source, seed, class_offset)
    shared = {**temperature(tau, source), **_sums(tiling), **tiling.draw(seed, row_offset)}
    shared |= {"grad": grad.contiguous(), "source": source.contiguous(), "DRAW": seed is not None}
    if tiling.parts > 1:
        tiling.run(rows.reduce_parts, GRAD=True, **shared)
    tiling.run(rows.softmax_vjp, out=out, SPLIT=tiling.parts > 1, **shared)
    return out


def gumbel_max(logits: Tensor, seed: Tensor, row_offset: int, class_offset: int) -> Tensor:
    """See :func:`drawgrad.kernels.reference.gumbel_max`."""
    if not logits.numel() or logits.shape[-1] > WORD:  # More classes than a key numbers.
        return reference.gumbel_max(logits, seed, row_offset, class_offset)
    return unpack(_winner(logits, seed, row_offset, class_offset))


def unpack(winner: Tensor) -> Tensor:
    """Classes of winners' keys, as :func:`drawgrad.kernels.gpu.rows.pack` makes them; -1 for nothing allowed."""
    return torch.where(winner >> 32 == rows.NOTHING_KEY.value, -1, (winner & WORD) ^ WORD)


def score_of(winner: Tensor) -> Tensor:
    """Scores of winners' keys, float32: the inverse of the order-preserving map of their bits."""
    key = (winner >> 32).to(torch.int32)
    return (key ^ ((key >> 31) & 0x7FFFFFFF)).view(torch.float32)


def _winner(logits: Tensor, seed: Tensor, row_offset: int, class_offset: int) -> Tensor:
    # The winner needs no second pass, so parts cost nothing.
    tiling = Tiling.of(logits, seed, class_offset, PART)
    winner = torch.empty((*logits.shape[:-1], tiling.parts), dtype=torch.int64, device=logits.device)
    tiling.run(
        rows.gumbel_max,
        logits=logits.contiguous(),
        winner=winner,
        parts=tiling.parts,
        SPLIT=tiling.parts > 1,
        **tiling.draw(seed, row_offset),
    )
    return winner.amax(-1) if tiling.parts > 1 else winner[..., 0]


def _tiling(like: Tensor, seed: Tensor | None, class_offset: int) -> Tiling:
    whole = Tiling.of(like, seed, class_offset, WHOLE)
    if whole.parts == 1 and whole.groups * whole.rows >= FEW_ROWS:
        return whole
    return Tiling.of(like, seed, class_offset, PART)


def _sums(tiling: Tiling) -> dict[str, Any]:
    """Room for what the parts of a row contribute to it."""
    size = tiling.groups * tiling.rows * tiling.parts if tiling.parts > 1 else 0
    tops, totals, dots = torch.empty((3, size), dtype=torch.float32, device=tiling.device)
    return {"tops": tops, "totals": totals, "dots": dots, "parts": tiling.parts}
