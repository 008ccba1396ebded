"""Kernels for many rows of few classes: the lanes of a vector are neighboring rows.

A tile of rows is transposed into a buffer of ``classes * LANES`` numbers; every step is then one loop over the lanes,
whatever the number of classes. Arguments as in :mod:`drawgrad.kernels.cpu.wide`.
"""

from __future__ import annotations

import numpy as np
from numba import uint32, uint64

from drawgrad.kernels.cpu.jit import device_function, kernel
from drawgrad.kernels.cpu.scalar import (
    exp,
    exponential,
    inverse,
    is_extreme,
    larger,
    log,
    nearness,
    uniform,
    uniform_of_two,
    words,
)
from drawgrad.kernels.cpu.views import indices, seeds_of, table, temperatures
from drawgrad.kernels.cpu.wide import mark
from drawgrad.kernels.philox import GUMBEL_STREAM, SECOND, WORD, WORDS

__all__ = ["FEW_CLASSES", "gumbel_max", "gumbel_one_hot", "gumbel_softmax", "gumbel_softmax_vjp"]

f32 = np.float32
LANES = 64
FEW_CLASSES = 64
"""Classes up to which a tile stays in the first-level cache and beats the kernels of rows."""
INFINITY, MINUS_INFINITY, NAN = f32(np.inf), f32(-np.inf), f32(np.nan)


@device_function()
def _number_lanes(lanes, seeds, rows, row_offset, first):
    """Row number and key of each lane, as two words each."""
    for r in range(LANES):
        # Lanes beyond the last row repeat the last one; nobody reads them.
        i = min(first + r, seeds.shape[0] * rows - 1)
        group = i // rows
        row = uint64(row_offset + i - group * rows)
        lanes[r] = row >> uint64(32)
        lanes[LANES + r] = row & uint64(WORD)
        lanes[2 * LANES + r] = uint64(seeds[group]) & uint64(WORD)
        lanes[3 * LANES + r] = uint64(seeds[group]) >> uint64(32)


@device_function()
def _draw_block(out, lanes, block, stream):
    """The words of one evaluation for each lane. Flat arrays: few pointers, so the compiler can tell them apart."""
    for r in range(LANES):
        w0, w1, w2, w3 = words(
            uint64(stream), block, lanes[r], lanes[LANES + r], lanes[2 * LANES + r], lanes[3 * LANES + r]
        )
        out[r] = w0
        out[LANES + r] = w1
        out[2 * LANES + r] = w2
        out[3 * LANES + r] = w3


@device_function()
def _exponential_block(out, drawn, lanes, block):
    """Exponentially distributed numbers of one evaluation for each lane."""
    _draw_block(drawn, lanes, block, GUMBEL_STREAM)
    nearest = uint32(WORD)
    for j in range(WORDS * LANES):
        nearest = min(nearest, nearness(drawn[j]))
        out[j] = exponential(uniform(drawn[j]))
    if is_extreme(nearest):
        second = drawn[WORDS * LANES :]
        _draw_block(second, lanes, block, GUMBEL_STREAM + SECOND)
        for j in range(WORDS * LANES):
            if is_extreme(nearness(drawn[j])):
                out[j] = exponential(uniform_of_two(drawn[j], second[j]))


@device_function()
def _score_tile(logits, scores, noise, drawn, lanes, first, count, class_offset):
    """Transposed logits + Gumbel of the rows from ``first``."""
    classes = logits.shape[1]
    skip = class_offset % WORDS
    block_offset = uint64(class_offset // WORDS)
    for block in range((skip + classes + WORDS - 1) // WORDS):
        _exponential_block(noise[WORDS * LANES * block :], drawn, lanes, block_offset + uint64(block))
    for r in range(count):
        row = logits[first + r]
        column = scores[r:]
        for k in range(classes):
            column[LANES * k] = row[k]
    wanted = noise[LANES * skip :]
    for j in range(LANES * classes):
        scores[j] -= log(wanted[j])


@device_function()
def _load_temperatures(inverse_tau, tau, first, count):
    if tau.shape[0] == 1:
        inverse_tau[:] = inverse(tau[0])
    else:
        for r in range(count):
            inverse_tau[r] = inverse(tau[first + r])


@device_function()
def _exponentiate_tile(scores, classes, inverse_tau, top, scale):
    """Turn scores into exp((score - largest) / tau), and ``scale`` into the reciprocal of their sum."""
    top[:] = MINUS_INFINITY
    for k in range(classes):
        column = scores[LANES * k :]
        for r in range(LANES):
            top[r] = larger(top[r], column[r])
    for r in range(LANES):
        top[r] = top[r] if top[r] > MINUS_INFINITY else f32(0)
    scale[:] = f32(0)
    for k in range(classes):
        column = scores[LANES * k :]
        for r in range(LANES):
            value = exp((column[r] - top[r]) * inverse_tau[r])
            column[r] = value
            scale[r] += value
    for r in range(LANES):
        scale[r] = f32(1) / scale[r] if scale[r] != f32(0) else f32(0)


@kernel
def gumbel_softmax(
    logits, sample, classes, tau, taus, seed, seeds, groups, rows, row_offset, class_offset, start, stop
):
    count = groups * rows
    logits, sample = table(logits, count, classes), table(sample, count, classes)
    tau, seeds = temperatures(tau, taus, count), seeds_of(seed, seeds, groups)
    scores = np.zeros(classes * LANES, np.float32)
    noise = np.empty((classes + 2 * WORDS) * LANES, np.float32)
    drawn = np.empty(2 * WORDS * LANES, np.uint32)
    lanes = np.empty(4 * LANES, np.uint64)
    inverse_tau, top, scale = np.ones(LANES, np.float32), np.empty(LANES, np.float32), np.empty(LANES, np.float32)
    for first in range(start, stop, LANES):
        count = min(LANES, stop - first)
        _number_lanes(lanes, seeds, rows, row_offset, first)
        _score_tile(logits, scores, noise, drawn, lanes, first, count, class_offset)
        _load_temperatures(inverse_tau, tau, first, count)
        _exponentiate_tile(scores, classes, inverse_tau, top, scale)
        for r in range(count):
            row, column = sample[first + r], scores[r:]
            for k in range(classes):
                row[k] = column[LANES * k] * scale[r]


@kernel
def gumbel_softmax_vjp(
    grad, logits, out, classes, tau, taus, seed, seeds, groups, rows, row_offset, class_offset, start, stop
):
    count = groups * rows
    grad, logits, out = table(grad, count, classes), table(logits, count, classes), table(out, count, classes)
    tau, seeds = temperatures(tau, taus, count), seeds_of(seed, seeds, groups)
    scores = np.zeros(classes * LANES, np.float32)
    noise = np.empty((classes + 2 * WORDS) * LANES, np.float32)
    drawn = np.empty(2 * WORDS * LANES, np.uint32)
    lanes = np.empty(4 * LANES, np.uint64)
    inverse_tau, top, scale = np.ones(LANES, np.float32), np.empty(LANES, np.float32), np.empty(LANES, np.float32)
    for first in range(start, stop, LANES):
        count = min(LANES, stop - first)
        _number_lanes(lanes, seeds, rows, row_offset, first)
        _score_tile(logits, scores, noise, drawn, lanes, first, count, class_offset)
        _load_temperatures(inverse_tau, tau, first, count)
        _exponentiate_tile(scores, classes, inverse_tau, top, scale)
        for r in range(count):
            upstream, row, column = grad[first + r], out[first + r], scores[r:]
            mean = f32(0)
            for k in range(classes):
                product = column[LANES * k] * upstream[k]
                mean += f32(0) if column[LANES * k] == f32(0) else product
            mean *= scale[r]
            for k in range(classes):
                y = column[LANES * k] * scale[r]
                value = y * (upstream[k] - mean) * inverse_tau[r]
                row[k] = f32(0) if y == f32(0) else value


@device_function()
def _find_winners(scores, classes, top, winner):
    """The class of the largest score of each lane."""
    top[:] = MINUS_INFINITY
    winner[:] = -1
    for k in range(classes):
        column = scores[LANES * k :]
        for r in range(LANES):
            score = NAN if column[r] == INFINITY else column[r]
            # True for the first NaN as well: no number is at least a NaN, and afterwards top is one.
            better = not (score <= top[r]) and top[r] == top[r]
            top[r] = score if better else top[r]
            winner[r] = k if better else winner[r]


@kernel
def gumbel_max(logits, index, classes, seed, seeds, groups, rows, row_offset, class_offset, start, stop):
    logits, index = table(logits, groups * rows, classes), indices(index, groups * rows)
    seeds = seeds_of(seed, seeds, groups)
    scores = np.zeros(classes * LANES, np.float32)
    noise = np.empty((classes + 2 * WORDS) * LANES, np.float32)
    drawn = np.empty(2 * WORDS * LANES, np.uint32)
    lanes = np.empty(4 * LANES, np.uint64)
    top, winner = np.empty(LANES, np.float32), np.empty(LANES, np.int32)
    for first in range(start, stop, LANES):
        count = min(LANES, stop - first)
        _number_lanes(lanes, seeds, rows, row_offset, first)
        _score_tile(logits, scores, noise, drawn, lanes, first, count, class_offset)
        _find_winners(scores, classes, top, winner)
        for r in range(count):
            index[first + r] = winner[r]


@kernel
def gumbel_one_hot(logits, sample, classes, seed, seeds, groups, rows, row_offset, class_offset, start, stop):
    logits, sample = table(logits, groups * rows, classes), table(sample, groups * rows, classes)
    seeds = seeds_of(seed, seeds, groups)
    scores = np.zeros(classes * LANES, np.float32)
    noise = np.empty((classes + 2 * WORDS) * LANES, np.float32)
    drawn = np.empty(2 * WORDS * LANES, np.uint32)
    lanes = np.empty(4 * LANES, np.uint64)
    top, winner = np.empty(LANES, np.float32), np.empty(LANES, np.int32)
    for first in range(start, stop, LANES):
        count = min(LANES, stop - first)
        _number_lanes(lanes, seeds, rows, row_offset, first)
        _score_tile(logits, scores, noise, drawn, lanes, first, count, class_offset)
        _find_winners(scores, classes, top, winner)
        for r in range(count):
            mark(logits[first + r], sample[first + r], winner[r])
