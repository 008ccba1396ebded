"""The winner of a linear layer's perturbed outputs, without the outputs: one operator, in blocks of classes.

Unlike the operators of :mod:`drawgrad.kernels.ops` it works on one group of rows and returns two tensors: the largest
score of each row as well as its class, which is what shards of the classes are compared by.
"""

from __future__ import annotations

from importlib import import_module

import torch
from torch import Tensor
from torch.library import custom_op

from drawgrad.kernels import ops
from drawgrad.kernels.operator import TWINS, seed_tensor, tau_tensor
from drawgrad.kernels.reference import compute_dtype
from drawgrad.kernels.state import wants_torch_operations

__all__ = ["in_blocks", "linear_winner"]

ELEMENTS = 1 << 20
"""Logits that exist at a time: a few megabytes, which stay in the cache."""


def in_blocks(
    hidden: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    tau: Tensor,
    seed: Tensor,
    row_offset: int,
    class_offset: int,
) -> tuple[Tensor, Tensor]:
    """Largest (hidden weight^T + bias) / tau + Gumbel of each row, and its class.

    Args:
        hidden: shape ``(rows, features)``.
        weight: shape ``(classes, features)``.
        bias: shape ``(classes,)``; -inf is a class that is never chosen.
        tau: temperature, shape ``()`` or ``(rows, 1)``, in the compute dtype.
        seed: int64, shape ``()``.
        row_offset: number of the first row.
        class_offset: number of the first class.

    Returns:
        Scores in the compute dtype and classes, int64, counted within ``weight``; both of shape ``(rows,)``. -inf and
        -1 for a row without an allowed class, NaN and the first class that is one for a row with a NaN or +inf.
    """
    dtype = compute_dtype(hidden.dtype)
    hidden = hidden.to(dtype)
    rows, classes = hidden.shape[0], weight.shape[0]
    score = hidden.new_full((rows,), -torch.inf)
    index = torch.full((rows,), -1, device=hidden.device)
    width = max(1, ELEMENTS // max(1, rows))
    for first in range(0, classes, width):
        block = slice(first, first + width)
        logits = torch.nn.functional.linear(
            hidden, weight[block].to(dtype), None if bias is None else bias[block].to(dtype)
        )
        drawn = ops.noise(seed, logits.shape, row_offset, class_offset + first, "gumbel", dtype)
        scores = logits / tau + drawn
        # Plus infinity is the logarithm of no weight, as in the samplers of logits.
        top, winner = torch.where(scores == torch.inf, torch.nan, scores).max(-1)
        # A NaN is larger than all numbers, as it is in torch's own maximum.
        better = (top > score) | (top.isnan() & ~score.isnan())
        score = torch.where(better, top, score)
        index = torch.where(better, winner + first, index)
    return score, index


_operator = custom_op("drawgrad::linear_winner", in_blocks, mutates_args=())


@_operator.register_fake
def _(hidden: Tensor, *_: object) -> tuple[Tensor, Tensor]:
    rows = hidden.shape[:1]
    return hidden.new_empty(rows, dtype=compute_dtype(hidden.dtype)), hidden.new_empty(rows, dtype=torch.int64)


@_operator.register_kernel("cuda")
def _(*args: object) -> tuple[Tensor, Tensor]:
    winner: tuple[Tensor, Tensor] = import_module(TWINS["cuda"]).linear_winner(*args)
    return winner


def linear_winner(
    hidden: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    tau: Tensor | float,
    seed: Tensor | int,
    row_offset: int,
    class_offset: int,
) -> tuple[Tensor, Tensor]:
    """See :func:`in_blocks`: by the twin of the device, or in torch's own operations where those are wanted."""
    tau, seed = tau_tensor(tau, hidden.dtype, hidden.device), seed_tensor(seed, hidden.device)
    compute = in_blocks if wants_torch_operations() else _operator
    found: tuple[Tensor, Tensor] = compute(hidden, weight, bias, tau, seed, row_offset, class_offset)
    return found
