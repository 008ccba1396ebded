"""Log-probabilities of few classes in many rows: normalization and divergence. Nothing is drawn here.

Kernels go through chunks of whole rows, and those of their loops that take time over all numbers of a chunk, however
few a row has. Torch's go through the classes of one row at a time.

Tensors are float32 without gaps, and have numbers.
"""

from __future__ import annotations

import numpy as np
import torch
from numba import float32
from torch import Tensor

from drawgrad.kernels.cpu.jit import device_function, kernel
from drawgrad.kernels.cpu.memory import empty_like
from drawgrad.kernels.cpu.pool import for_each_block
from drawgrad.kernels.cpu.scalar import exp, log
from drawgrad.kernels.cpu.views import room, table

__all__ = ["divergence", "divergence_vjp", "log_softmax", "log_softmax_vjp", "softmax"]

f32 = np.float32
CHUNK = 1024
"""Numbers of a chunk at most, which stay in the first-level cache; a row has fewer."""
_new_chunk = room(float32, CHUNK)
_new_column = room(float32, CHUNK)
MINUS_INFINITY, NAN = f32(-np.inf), f32(np.nan)


@device_function()
def _weigh(scores, weights, largest, totals, first, rows, classes):
    """exp(score - largest) in the rows from ``first``, the largest score of each, and the sum of its weights."""
    for r in range(rows):
        row = scores[first + r]
        top = MINUS_INFINITY
        for k in range(classes):
            top = row[k] if row[k] > top else top
        largest[r] = top if top > MINUS_INFINITY else f32(0)
        for k in range(classes):
            weights[r * classes + k] = row[k] - largest[r]
    for j in range(rows * classes):
        weights[j] = exp(weights[j])
    for r in range(rows):
        total = f32(0)
        for k in range(classes):
            total += weights[r * classes + k]
        totals[r] = total


@device_function()
def _exponentiate(log_p, probs, first, rows, classes):
    """The probabilities of the rows from ``first``."""
    for r in range(rows):
        row = log_p[first + r]
        for k in range(classes):
            probs[r * classes + k] = row[k]
    for j in range(rows * classes):
        probs[j] = exp(probs[j])


@kernel
def _softmax(scores, out, classes, count, start, stop):
    """Softmax of each row; NaN for a row with NaN or +inf, or in which all is -inf."""
    scores, out = table(scores, count, classes), table(out, count, classes)
    weights, largest, totals = _new_chunk(), _new_column(), _new_column()
    size = CHUNK // classes
    for first in range(start, stop, size):
        rows = min(size, stop - first)
        _weigh(scores, weights, largest, totals, first, rows, classes)
        for r in range(rows):
            totals[r] = f32(1) / totals[r] if totals[r] > f32(0) else NAN
        for r in range(rows):
            result = out[first + r]
            for k in range(classes):
                result[k] = weights[r * classes + k] * totals[r]


@kernel
def _log_softmax(scores, out, classes, count, start, stop):
    """Logarithm of :func:`_softmax`."""
    scores, out = table(scores, count, classes), table(out, count, classes)
    weights, largest, totals = _new_chunk(), _new_column(), _new_column()
    size = CHUNK // classes
    for first in range(start, stop, size):
        rows = min(size, stop - first)
        _weigh(scores, weights, largest, totals, first, rows, classes)
        for r in range(rows):
            totals[r] = log(totals[r]) if totals[r] > f32(0) else NAN
        for r in range(rows):
            row, result = scores[first + r], out[first + r]
            for k in range(classes):
                # In this order, for scores may be large that hardly differ.
                result[k] = (row[k] - largest[r]) - totals[r]


@kernel
def _log_softmax_vjp(grad, log_p, out, classes, count, start, stop):
    grad, log_p, out = table(grad, count, classes), table(log_p, count, classes), table(out, count, classes)
    probs = _new_chunk()
    size = CHUNK // classes
    for first in range(start, stop, size):
        rows = min(size, stop - first)
        _exponentiate(log_p, probs, first, rows, classes)
        for r in range(rows):
            upstream, result = grad[first + r], out[first + r]
            total = f32(0)
            for k in range(classes):
                total += upstream[k]
            for k in range(classes):
                result[k] = upstream[k] - probs[r * classes + k] * total


@kernel
def _divergence(log_p, log_q, out, classes, count, others, start, stop):
    """Of each row, one of ``others`` rows of ``log_q`` after the other, over and over."""
    log_p, log_q, out = table(log_p, count, classes), table(log_q, others, classes), table(out, 1, count)[0]
    terms, logs = _new_chunk(), _new_column()
    size = CHUNK // classes
    for first in range(start, stop, size):
        rows = min(size, stop - first)
        for r in range(rows):
            row, other = log_p[first + r], log_q[(first + r) % others]
            for k in range(classes):
                logs[r * classes + k] = row[k]
                terms[r * classes + k] = row[k] - other[k]
        for j in range(rows * classes):
            terms[j] *= exp(logs[j])
        for r in range(rows):
            total = f32(0)
            for k in range(classes):
                total += terms[r * classes + k]
            out[first + r] = total


@kernel
def _divergence_vjp(grad, log_p, log_q, of_p, weighted, classes, count, others, start, stop):
    log_p, log_q, grad = table(log_p, count, classes), table(log_q, others, classes), table(grad, 1, count)[0]
    of_p, weighted = table(of_p, count, classes), table(weighted, count, classes)
    probs = _new_chunk()
    size = CHUNK // classes
    for first in range(start, stop, size):
        rows = min(size, stop - first)
        _exponentiate(log_p, probs, first, rows, classes)
        for r in range(rows):
            row, other = log_p[first + r], log_q[(first + r) % others]
            slopes, products = of_p[first + r], weighted[first + r]
            for k in range(classes):
                product = grad[first + r] * probs[r * classes + k]
                products[k] = product
                slopes[k] = product + product * (row[k] - other[k])


def softmax(scores: Tensor) -> Tensor:
    """``torch.softmax(scores, -1)``."""
    out, size = empty_like(scores), _size(scores)
    for_each_block(_softmax, size, (scores.data_ptr(), out.data_ptr(), size[1], size[0]))
    return out


def log_softmax(scores: Tensor) -> Tensor:
    """``torch.log_softmax(scores, -1)``."""
    out, size = empty_like(scores), _size(scores)
    for_each_block(_log_softmax, size, (scores.data_ptr(), out.data_ptr(), size[1], size[0]))
    return out


def log_softmax_vjp(grad: Tensor, log_p: Tensor) -> Tensor:
    """The gradient for the scores of :func:`log_softmax`, from that for its result ``log_p``."""
    out, size = empty_like(log_p), _size(log_p)
    tables = grad.data_ptr(), log_p.data_ptr(), out.data_ptr(), size[1], size[0]
    for_each_block(_log_softmax_vjp, size, tables)
    return out


def divergence(log_p: Tensor, log_q: Tensor) -> Tensor:
    """Sum of p (log p - log q) over each row; the last dimensions of ``log_p`` are those of ``log_q``.

    Where a class is impossible this is not what the divergence is, but then not finite either.
    """
    out, size = torch.empty(log_p.shape[:-1], dtype=torch.float32, device="cpu"), _size(log_p)
    tables = log_p.data_ptr(), log_q.data_ptr(), out.data_ptr(), size[1], size[0], _size(log_q)[0]
    for_each_block(_divergence, size, tables)
    return out


def divergence_vjp(grad: Tensor, log_p: Tensor, log_q: Tensor) -> tuple[Tensor, Tensor]:
    """Where :func:`divergence` is finite: the gradient for ``log_p``, and minus that for ``log_q`` in each row."""
    of_p, weighted, size = empty_like(log_p), empty_like(log_p), _size(log_p)
    inputs = grad.data_ptr(), log_p.data_ptr(), log_q.data_ptr()
    tables = *inputs, of_p.data_ptr(), weighted.data_ptr(), size[1], size[0], _size(log_q)[0]
    for_each_block(_divergence_vjp, size, tables)
    return of_p, weighted


def _size(tensor: Tensor) -> tuple[int, int]:
    classes = tensor.shape[-1]
    return tensor.numel() // classes, classes
