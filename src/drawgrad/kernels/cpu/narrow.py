"""Kernels for many rows of few classes: the lanes of a vector are neighbouring rows.

A tile of rows is transposed into a buffer of shape ``(classes, LANES)``; every step is then one loop over the lanes,
whatever the number of classes. Arguments as in :mod:`drawgrad.kernels.cpu.wide`.
"""

from __future__ import annotations

import numpy as np
from numba import uint64

from drawgrad.kernels.cpu.jit import device_function, kernel
from drawgrad.kernels.cpu.scalar import exp, gumbel, words
from drawgrad.kernels.philox import GUMBEL_STREAM, WORD, WORDS

__all__ = ["FEW_CLASSES", "gumbel_max", "gumbel_softmax", "gumbel_softmax_vjp"]

f32 = np.float32
LANES = 64
FEW_CLASSES = 64
"""Classes up to which a tile stays in the first-level cache and beats the kernels of rows."""
MINUS_INFINITY = f32(-np.inf)


@device_function()
def _number_lanes(counters, keys, seeds, rows, row_offset, first):
    """Row number, as two words, and key of each lane."""
    for r in range(LANES):
        # Lanes beyond the last row repeat group and row of an existing one; nobody reads them.
        i = min(first + r, seeds.shape[0] * rows - 1)
        group = i // rows
        row = uint64(row_offset + i - group * rows)
        counters[0, r] = row >> uint64(32)
        counters[1, r] = row & uint64(WORD)
        keys[0, r] = uint64(seeds[group]) & uint64(WORD)
        keys[1, r] = uint64(seeds[group]) >> uint64(32)


@device_function()
def _score_tile(logits, scores, scratch, counters, keys, first, count, class_offset):
    """Transposed logits + Gumbel of the rows from ``first``."""
    classes = logits.shape[1]
    skip = class_offset % WORDS
    block_offset = uint64(class_offset // WORDS)
    for block in range((skip + classes + WORDS - 1) // WORDS):
        for r in range(LANES):
            w0, w1, w2, w3 = words(
                uint64(GUMBEL_STREAM),
                block_offset + uint64(block),
                counters[0, r],
                counters[1, r],
                keys[0, r],
                keys[1, r],
            )
            scratch[WORDS * block, r] = w0
            scratch[WORDS * block + 1, r] = w1
            scratch[WORDS * block + 2, r] = w2
            scratch[WORDS * block + 3, r] = w3
    for r in range(count):
        for k in range(classes):
            scores[k, r] = logits[first + r, k]
    for k in range(classes):
        for r in range(LANES):
            scores[k, r] += gumbel(scratch[skip + k, r])


@device_function()
def _load_temperatures(inverse_tau, tau, first, count):
    for r in range(count):
        inverse_tau[r] = f32(1) / tau[(first + r) % tau.shape[0]]


@device_function()
def _exponentiate_tile(scores, classes, inverse_tau, top, scale):
    """Turn scores into exp((score - largest) / tau), and ``scale`` into the reciprocal of their sum."""
    top[:] = MINUS_INFINITY
    for k in range(classes):
        for r in range(LANES):
            score = scores[k, r]
            top[r] = score if score > top[r] else top[r]
    for r in range(LANES):
        top[r] = top[r] if top[r] > MINUS_INFINITY else f32(0)
    scale[:] = f32(0)
    for k in range(classes):
        for r in range(LANES):
            value = exp((scores[k, r] - top[r]) * inverse_tau[r])
            scores[k, r] = value
            scale[r] += value
    for r in range(LANES):
        scale[r] = f32(1) / scale[r] if scale[r] != f32(0) else f32(0)


@kernel
def gumbel_softmax(logits, sample, tau, seeds, rows, row_offset, class_offset, start, stop):
    classes = logits.shape[1]
    scores = np.zeros((classes, LANES), np.float32)
    scratch = np.empty((classes + 2 * WORDS, LANES), np.uint32)
    counters, keys = np.empty((2, LANES), np.uint64), np.empty((2, LANES), np.uint64)
    inverse_tau, top, scale = np.ones(LANES, np.float32), np.empty(LANES, np.float32), np.empty(LANES, np.float32)
    for first in range(start, stop, LANES):
        count = min(LANES, stop - first)
        _number_lanes(counters, keys, seeds, rows, row_offset, first)
        _score_tile(logits, scores, scratch, counters, keys, first, count, class_offset)
        _load_temperatures(inverse_tau, tau, first, count)
        _exponentiate_tile(scores, classes, inverse_tau, top, scale)
        for r in range(count):
            for k in range(classes):
                sample[first + r, k] = scores[k, r] * scale[r]


@kernel
def gumbel_softmax_vjp(grad, logits, out, tau, seeds, rows, row_offset, class_offset, start, stop):
    classes = logits.shape[1]
    scores = np.zeros((classes, LANES), np.float32)
    scratch = np.empty((classes + 2 * WORDS, LANES), np.uint32)
    counters, keys = np.empty((2, LANES), np.uint64), np.empty((2, LANES), np.uint64)
    inverse_tau, top, scale = np.ones(LANES, np.float32), np.empty(LANES, np.float32), np.empty(LANES, np.float32)
    for first in range(start, stop, LANES):
        count = min(LANES, stop - first)
        _number_lanes(counters, keys, seeds, rows, row_offset, first)
        _score_tile(logits, scores, scratch, counters, keys, first, count, class_offset)
        _load_temperatures(inverse_tau, tau, first, count)
        _exponentiate_tile(scores, classes, inverse_tau, top, scale)
        for r in range(count):
            mean = f32(0)
            for k in range(classes):
                product = scores[k, r] * grad[first + r, k]
                mean += f32(0) if scores[k, r] == f32(0) else product
            mean *= scale[r]
            for k in range(classes):
                y = scores[k, r] * scale[r]
                value = y * (grad[first + r, k] - mean) * inverse_tau[r]
                out[first + r, k] = f32(0) if y == f32(0) else value


@kernel
def gumbel_max(logits, index, seeds, rows, row_offset, class_offset, start, stop):
    classes = logits.shape[1]
    scores = np.zeros((classes, LANES), np.float32)
    scratch = np.empty((classes + 2 * WORDS, LANES), np.uint32)
    counters, keys = np.empty((2, LANES), np.uint64), np.empty((2, LANES), np.uint64)
    top, winner = np.empty(LANES, np.float32), np.empty(LANES, np.int32)
    for first in range(start, stop, LANES):
        count = min(LANES, stop - first)
        _number_lanes(counters, keys, seeds, rows, row_offset, first)
        _score_tile(logits, scores, scratch, counters, keys, first, count, class_offset)
        top[:] = MINUS_INFINITY
        winner[:] = -1
        for k in range(classes):
            for r in range(LANES):
                score = scores[k, r]
                # True for the first NaN as well: no number is at least a NaN, and afterwards top is one.
                better = not (score <= top[r]) and top[r] == top[r]
                top[r] = score if better else top[r]
                winner[r] = k if better else winner[r]
        for r in range(count):
            index[first + r] = winner[r]
