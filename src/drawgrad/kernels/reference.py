"""The reference twin: every fused operation in torch operations, on any device and in any floating dtype.

It is the specification of the other twins and the path that is traced by exporters. All operations work on the last
dimension, whose numbers are classes; all dimensions before it together count rows, from ``row_offset``. With a seed of
shape ``(groups,)`` instead of ``()`` the first dimension is one of groups, each with its own seed and its own count of
rows: that is what :func:`torch.vmap` makes of several calls.

Arithmetic is in float32 (float64 for float64 input), whatever the dtype of the input.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from drawgrad.kernels.philox import EXTREME, GUMBEL_STREAM, LOGISTIC_STREAM, SECOND, WORD, random_bits, words_at
from drawgrad.kernels.state import wants_torch_operations

__all__ = [
    "binary_concrete",
    "binary_concrete_vjp",
    "compute_dtype",
    "gumbel_max",
    "gumbel_softmax",
    "gumbel_softmax_vjp",
    "gumbel_top_k",
    "noise",
    "sigmoid",
    "sigmoid_vjp",
    "softmax_vjp",
]


def compute_dtype(dtype: torch.dtype) -> torch.dtype:
    """The dtype in which numbers of ``dtype`` are computed. Twins know float32 only: the reference serves float64."""
    return torch.float64 if dtype == torch.float64 else torch.float32


def noise(
    seed: Tensor, shape: Sequence[int], row_offset: int, class_offset: int, family: str, dtype: torch.dtype
) -> Tensor:
    """Standard Gumbel or logistic noise of ``shape``, or ``(groups, *shape)`` for several seeds.

    A word w stands for the midpoint v = (w + 1/2) / 2^32 of its cell; where the cell is one of the ``EXTREME`` ones at
    either end, a second word w' resolves it to v = (w + (w' + 1/2) / 2^32) / 2^32. The logarithms are taken of the
    distance to the nearer end, which keeps full relative precision: that resolves the tail of the winners, which the
    textbook -log(-log u) cuts off at 16.6 in float32.
    """
    streams = {"gumbel": GUMBEL_STREAM, "logistic": LOGISTIC_STREAM}
    rows, classes = math.prod(shape[:-1]), shape[-1] if len(shape) else 1
    block = (seed.reshape(-1), rows, classes, row_offset, class_offset)
    bits = random_bits(*block, streams[family])
    # Not the minimum of the two: runtimes of exported graphs have been seen to take it in 32 bits.
    upper = bits > WORD // 2
    cells = torch.where(upper, WORD - bits, bits)
    distance = _distance(cells, block, streams[family] + SECOND, compute_dtype(dtype)).reshape((*seed.shape, *shape))
    upper = upper.reshape(distance.shape)
    # Towards the lower end log(v) is the large one of the two, towards the upper end log(1 - v).
    far, near = distance.log(), torch.log1p(-distance)
    if family == "gumbel":
        value = -torch.where(upper, -far, -near).log()
    else:
        value = torch.where(upper, near - far, far - near)
    return value.to(dtype)


def _distance(cells: Tensor, block: tuple[Tensor, int, int, int, int], stream: int, dtype: torch.dtype) -> Tensor:
    """Distance of uniform numbers to the nearer end of the unit interval, from that of their words, counted in cells.

    ``stream`` is that of the second words.
    """
    extreme = cells < EXTREME
    distance = cells.to(dtype) + 0.5
    if wants_torch_operations() or not cells.is_cpu:  # Whether there is an extreme word must not be asked.
        second = cells.to(dtype) + (random_bits(*block, stream).to(dtype) + 0.5) * 2.0**-32
        distance = torch.where(extreme, second, distance)
    elif extreme.any():
        group, row, class_ = extreme.nonzero(as_tuple=True)
        seed, _, _, row_offset, class_offset = block
        second = words_at(seed[group], row + row_offset, class_ + class_offset, stream)
        distance[extreme] = cells[extreme].to(dtype) + (second.to(dtype) + 0.5) * 2.0**-32
    return distance * 2.0**-32


def _scores(logits: Tensor, seed: Tensor, row_offset: int, class_offset: int, family: str) -> Tensor:
    dtype = compute_dtype(logits.dtype)
    drawn = noise(seed, logits.shape[seed.dim() :], row_offset, class_offset, family, dtype)
    # Contiguous, whatever the input: that is what the fake tensors of the operators promise of the results.
    return logits.to(dtype).contiguous() + drawn


def _gumbel_scores(logits: Tensor, seed: Tensor, row_offset: int, class_offset: int) -> Tensor:
    scores = _scores(logits, seed, row_offset, class_offset, "gumbel")
    # Plus infinity is the logarithm of no weight, and two of them have no order: it is treated as NaN is.
    return torch.where(scores == torch.inf, torch.nan, scores)


def gumbel_softmax(logits: Tensor, tau: Tensor, seed: Tensor, row_offset: int, class_offset: int, hard: bool) -> Tensor:
    """Sample softmax((logits + Gumbel) / tau), or the one-hot of its largest entry.

    Args:
        logits: shape ``(*batch, classes)``; -inf is a class that is never chosen.
        tau: temperature, in the compute dtype, shape ``()`` or one that broadcasts to ``(*batch, 1)``.
        seed: int64, shape ``()``, or ``(groups,)`` if that is the first dimension of the batch.
        row_offset: number of the first row.
        class_offset: number of the first class.
        hard: whether to return the one-hot vector.

    Returns:
        The sample, like ``logits``. A row without an allowed class is zero; a row with a NaN or +inf is NaN.
    """
    scores = _gumbel_scores(logits, seed, row_offset, class_offset)
    if hard:
        sample = _one_hot(scores)
    else:
        sample = _softmax(scores, tau)
    return sample.to(logits.dtype)


def _softmax(scores: Tensor, tau: Tensor) -> Tensor:
    """Softmax of scores / tau over what is allowed, zero elsewhere.

    Forbidden entries are constants on the way in and on the way out, so that also the derivatives that torch finds by
    itself are free of infinity times zero.
    """
    if scores.shape[-1] == 0:
        return scores
    top = scores.amax(-1, keepdim=True).detach()
    forbidden = scores == -torch.inf
    # The maximum is subtracted before the division: a small tau cannot overflow.
    shifted = torch.where(forbidden, 0.0, scores - top) / tau
    sample = torch.softmax(torch.where(forbidden, -torch.inf, shifted), -1)
    return torch.where(forbidden & (top < torch.inf), 0.0, sample)


def _one_hot(scores: Tensor) -> Tensor:
    if scores.shape[-1] == 0:
        return scores
    top, winner = scores.max(-1, keepdim=True)
    classes = torch.arange(scores.shape[-1], device=scores.device)
    sample = (classes == winner).to(scores.dtype)
    sample = torch.where(top == -torch.inf, 0.0, sample)
    return torch.where(top.isnan(), top, sample)


def softmax_vjp(grad: Tensor, sample: Tensor, tau: Tensor) -> Tensor:
    """Gradient for the logits of softmax(. / tau), from its value alone: y (g - <g, y>) / tau.

    Shapes as in :func:`gumbel_softmax`; the result is like ``sample``. Where the sample is exactly zero, so is the
    gradient, whatever ``grad`` holds.
    """
    dtype = compute_dtype(sample.dtype)
    y = sample.to(dtype).contiguous()
    weighted = torch.where(y == 0, 0.0, y * grad.to(dtype))
    gradient = (weighted - y * weighted.sum(-1, keepdim=True)) / tau
    return torch.where(y == 0, 0.0, gradient).to(sample.dtype)


def gumbel_softmax_vjp(
    grad: Tensor, logits: Tensor, tau: Tensor, seed: Tensor, row_offset: int, class_offset: int
) -> Tensor:
    """Gradient for the logits of the relaxed sample that ``logits`` and ``seed`` define, like ``logits``."""
    scores = _gumbel_scores(logits, seed, row_offset, class_offset)
    return softmax_vjp(grad.to(scores.dtype), _softmax(scores, tau), tau).to(logits.dtype)


def gumbel_max(logits: Tensor, seed: Tensor, row_offset: int, class_offset: int) -> Tensor:
    """Index of the largest logit + Gumbel, int64, shape ``batch``; -1 for a row without an allowed class.

    In a row with a NaN or +inf it is the index of the first one.
    """
    if logits.shape[-1] == 0:
        return logits.new_full(logits.shape[:-1], -1, dtype=torch.int64)
    top, winner = _gumbel_scores(logits, seed, row_offset, class_offset).max(-1)
    return torch.where(top == -torch.inf, -1, winner)


def gumbel_top_k(logits: Tensor, k: int, seed: Tensor, row_offset: int, class_offset: int) -> tuple[Tensor, Tensor]:
    """The k largest logits + Gumbel in descending order, and their indices.

    Arguments as in :func:`gumbel_softmax`; ``k`` is at most the number of classes.

    Returns:
        Scores in the compute dtype and indices, int64, both of shape ``(*batch, k)``; -inf and -1 where fewer classes
        are allowed. A NaN counts as the largest number.
    """
    top, index = _scores(logits, seed, row_offset, class_offset, "gumbel").topk(k, -1)
    return top, torch.where(top == -torch.inf, -1, index)


def binary_concrete(
    logits: Tensor, tau: Tensor, seed: Tensor, row_offset: int, class_offset: int, hard: bool
) -> Tensor:
    """Sample sigmoid((logits + logistic) / tau), or whether it exceeds one half.

    Arguments as in :func:`gumbel_softmax`; ``tau`` may have the shape of the logits as well.
    """
    scores = _scores(logits, seed, row_offset, class_offset, "logistic")
    if hard:
        sample = torch.where(scores.isnan(), scores, (scores > 0).to(scores.dtype))
    else:
        sample = sigmoid(scores, tau)
    return sample.to(logits.dtype)


def sigmoid(scores: Tensor, tau: Tensor) -> Tensor:
    """Sigmoid of scores / tau; infinite scores are constants, as forbidden ones are in :func:`_softmax`."""
    certain = scores.isinf()
    sample = torch.sigmoid(torch.where(certain, 0.0, scores) / tau)
    return torch.where(certain, (scores > 0).to(scores.dtype), sample)


def sigmoid_vjp(grad: Tensor, sample: Tensor, tau: Tensor) -> Tensor:
    """Gradient for the logits of sigmoid(. / tau), from its value alone: g y (1 - y) / tau, like ``sample``."""
    dtype = compute_dtype(sample.dtype)
    y = sample.to(dtype).contiguous()
    slope = y * (1 - y)
    return (torch.where(slope == 0, 0.0, grad.to(dtype) * slope) / tau).to(sample.dtype)


def binary_concrete_vjp(
    grad: Tensor, logits: Tensor, tau: Tensor, seed: Tensor, row_offset: int, class_offset: int
) -> Tensor:
    """Gradient for the logits of the relaxed binary sample that ``logits`` and ``seed`` define, like ``logits``."""
    scores = _scores(logits, seed, row_offset, class_offset, "logistic")
    return sigmoid_vjp(grad.to(scores.dtype), sigmoid(scores, tau), tau).to(logits.dtype)
