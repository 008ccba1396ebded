"""Kernels for many rows of few classes: the lanes of a vector are neighboring rows.

A tile of rows is transposed into a buffer of ``classes * width`` numbers; every step is then one loop over the lanes,
whatever the number of classes. A tile has as many lanes as it has rows, in whole grains, and at most ``LANES``.
Arguments as in :mod:`drawgrad.kernels.cpu.wide`.
"""

from __future__ import annotations

import numpy as np
from numba import float32, int32, uint32, uint64

from drawgrad.kernels.cpu.jit import device_function, kernel
from drawgrad.kernels.cpu.scalar import (
    exp,
    exponential,
    inverse,
    is_extreme,
    larger,
    log,
    logistic,
    nearness,
    uniform,
    uniform_of_two,
    words,
)
from drawgrad.kernels.cpu.views import indices, room, seed_of, table, temperature
from drawgrad.kernels.cpu.wide import mark
from drawgrad.kernels.philox import GUMBEL_STREAM, LOGISTIC_STREAM, SECOND, WORD, WORDS

__all__ = ["FEW_CLASSES", "gumbel_max", "gumbel_one_hot", "gumbel_softmax", "gumbel_softmax_vjp", "noise"]

f32 = np.float32
GRAIN = 16
"""Lanes of an innermost loop, whose number of steps the compiler knows: one vector, or a few."""
LANES = 64
FEW_CLASSES = 64
"""Classes up to which a tile stays in the first-level cache and beats the kernels of rows."""
_new_scores = room(float32, FEW_CLASSES * LANES)
_new_noise = room(float32, (FEW_CLASSES + 2 * WORDS) * LANES)
"""Room for whole evaluations, which may begin before the first class and end after the last one."""
_new_words = room(uint32, 2 * WORDS * LANES)
_new_lanes = room(uint64, 4 * LANES)
_new_facts = room(float32, 3 * LANES)
_new_winners = room(int32, LANES)
INFINITY, MINUS_INFINITY, NAN = f32(np.inf), f32(-np.inf), f32(np.nan)


@device_function()
def _rows_in_tile(first, stop):
    rest = stop - first
    return rest if rest < LANES else LANES


@device_function()
def _width_of(count):
    return (count + GRAIN - 1) // GRAIN * GRAIN


@device_function()
def _number_lanes(lanes, seed, seeds, rows, row_offset, first, count):
    """Row number and key of each lane, as two words each."""
    group = first // rows
    within = first - group * rows
    key = uint64(seed_of(seed, seeds, group))
    for r in range(_width_of(count)):
        row = uint64(row_offset + within)
        lanes[r] = row >> uint64(32)
        lanes[LANES + r] = row & uint64(WORD)
        lanes[2 * LANES + r] = key & uint64(WORD)
        lanes[3 * LANES + r] = key >> uint64(32)
        # Lanes beyond the last row are those of some row again; nobody reads them.
        if r + 1 < count:
            within += 1
            if within == rows:
                within = 0
                group += 1
                key = uint64(seed_of(seed, seeds, group))


@device_function()
def _draw_block(out, lanes, width, block, stream):
    """The words of one evaluation for each lane. Flat arrays: few pointers, so the compiler can tell them apart."""
    for r in range(width):
        w0, w1, w2, w3 = words(
            uint64(stream), block, lanes[r], lanes[LANES + r], lanes[2 * LANES + r], lanes[3 * LANES + r]
        )
        out[r] = w0
        out[width + r] = w1
        out[2 * width + r] = w2
        out[3 * width + r] = w3


@device_function()
def _fill_block(out, drawn, lanes, width, block, stream, transform):
    """A function of the uniform numbers of one evaluation for each lane."""
    _draw_block(drawn, lanes, width, block, stream)
    nearest = uint32(WORD)
    for j in range(WORDS * width):
        nearest = min(nearest, nearness(drawn[j]))
        out[j] = transform(uniform(drawn[j]))
    if is_extreme(nearest):
        second = drawn[WORDS * width :]
        _draw_block(second, lanes, width, block, stream + SECOND)
        for j in range(WORDS * width):
            if is_extreme(nearness(drawn[j])):
                out[j] = transform(uniform_of_two(drawn[j], second[j]))


@device_function()
def _fill_tile(noise, drawn, lanes, width, classes, class_offset, stream, transform):
    """A function of the uniform numbers of the tile's classes, from the first class of an evaluation."""
    skip = class_offset % WORDS
    block_offset = uint64(class_offset // WORDS)
    for block in range((skip + classes + WORDS - 1) // WORDS):
        first = noise[WORDS * width * block :]
        _fill_block(first, drawn, lanes, width, block_offset + uint64(block), stream, transform)


@device_function()
def _score_tile(logits, scores, noise, drawn, lanes, width, first, count, class_offset):
    """Transposed logits + Gumbel of the rows from ``first``."""
    classes = logits.shape[1]
    _fill_tile(noise, drawn, lanes, width, classes, class_offset, GUMBEL_STREAM, exponential)
    for r in range(width):
        row = logits[first + (r if r < count else 0)]
        column = scores[r:]
        for k in range(classes):
            column[width * k] = row[k]
    wanted = noise[width * (class_offset % WORDS) :]
    for j in range(width * classes):
        scores[j] -= log(wanted[j])


@device_function()
def _exponentiate_tile(scores, each, width, classes, tau, taus, first, count):
    """Turn scores into exp((score - largest) / tau).

    ``each`` holds of each lane the largest score, the reciprocal of the sum, and that of the temperature: in one array,
    which the compiler can tell from the scores.
    """
    for r in range(width):
        each[r] = MINUS_INFINITY
        each[LANES + r] = f32(0)
        each[2 * LANES + r] = inverse(temperature(tau, taus, first + (r if r < count else 0)))
    for k in range(classes):
        column = scores[width * k :]
        for r in range(width):
            each[r] = larger(each[r], column[r])
    for r in range(width):
        each[r] = each[r] if each[r] > MINUS_INFINITY else f32(0)
    for k in range(classes):
        column = scores[width * k :]
        for r in range(width):
            value = exp((column[r] - each[r]) * each[2 * LANES + r])
            column[r] = value
            each[LANES + r] += value
    for r in range(width):
        each[LANES + r] = f32(1) / each[LANES + r] if each[LANES + r] != f32(0) else f32(0)


@kernel
def gumbel_softmax(
    logits, sample, classes, tau, taus, seed, seeds, groups, rows, row_offset, class_offset, start, stop
):
    logits, sample = table(logits, groups * rows, classes), table(sample, groups * rows, classes)
    scores, noise, drawn, lanes = _new_scores(), _new_noise(), _new_words(), _new_lanes()
    each = _new_facts()
    for first in range(start, stop, LANES):
        count = _rows_in_tile(first, stop)
        width = _width_of(count)
        _number_lanes(lanes, seed, seeds, rows, row_offset, first, count)
        _score_tile(logits, scores, noise, drawn, lanes, width, first, count, class_offset)
        _exponentiate_tile(scores, each, width, classes, tau, taus, first, count)
        for r in range(count):
            row, column = sample[first + r], scores[r:]
            for k in range(classes):
                row[k] = column[width * k] * each[LANES + r]


@kernel
def gumbel_softmax_vjp(
    grad, logits, out, classes, tau, taus, seed, seeds, groups, rows, row_offset, class_offset, start, stop
):
    count = groups * rows
    grad, logits, out = table(grad, count, classes), table(logits, count, classes), table(out, count, classes)
    scores, noise, drawn, lanes = _new_scores(), _new_noise(), _new_words(), _new_lanes()
    each = _new_facts()
    for first in range(start, stop, LANES):
        count = _rows_in_tile(first, stop)
        width = _width_of(count)
        _number_lanes(lanes, seed, seeds, rows, row_offset, first, count)
        _score_tile(logits, scores, noise, drawn, lanes, width, first, count, class_offset)
        _exponentiate_tile(scores, each, width, classes, tau, taus, first, count)
        for r in range(count):
            upstream, row, column = grad[first + r], out[first + r], scores[r:]
            mean = f32(0)
            for k in range(classes):
                product = column[width * k] * upstream[k]
                mean += f32(0) if column[width * k] == f32(0) else product
            mean *= each[LANES + r]
            for k in range(classes):
                y = column[width * k] * each[LANES + r]
                value = y * (upstream[k] - mean) * each[2 * LANES + r]
                row[k] = f32(0) if y == f32(0) else value


@device_function()
def _find_winners(scores, width, classes, top, winner):
    """The class of the largest score of each lane."""
    for r in range(width):
        top[r] = MINUS_INFINITY
        winner[r] = -1
    for k in range(classes):
        column = scores[width * k :]
        for r in range(width):
            score = NAN if column[r] == INFINITY else column[r]
            # True for the first NaN as well: no number is at least a NaN, and afterwards top is one.
            better = not (score <= top[r]) and top[r] == top[r]
            top[r] = score if better else top[r]
            winner[r] = k if better else winner[r]


@kernel
def gumbel_max(logits, index, classes, seed, seeds, groups, rows, row_offset, class_offset, start, stop):
    logits, index = table(logits, groups * rows, classes), indices(index, groups * rows)
    scores, noise, drawn, lanes = _new_scores(), _new_noise(), _new_words(), _new_lanes()
    top, winner = _new_facts(), _new_winners()
    for first in range(start, stop, LANES):
        count = _rows_in_tile(first, stop)
        width = _width_of(count)
        _number_lanes(lanes, seed, seeds, rows, row_offset, first, count)
        _score_tile(logits, scores, noise, drawn, lanes, width, first, count, class_offset)
        _find_winners(scores, width, classes, top, winner)
        for r in range(count):
            index[first + r] = winner[r]


@kernel
def gumbel_one_hot(logits, sample, classes, seed, seeds, groups, rows, row_offset, class_offset, start, stop):
    logits, sample = table(logits, groups * rows, classes), table(sample, groups * rows, classes)
    scores, noise, drawn, lanes = _new_scores(), _new_noise(), _new_words(), _new_lanes()
    top, winner = _new_facts(), _new_winners()
    for first in range(start, stop, LANES):
        count = _rows_in_tile(first, stop)
        width = _width_of(count)
        _number_lanes(lanes, seed, seeds, rows, row_offset, first, count)
        _score_tile(logits, scores, noise, drawn, lanes, width, first, count, class_offset)
        _find_winners(scores, width, classes, top, winner)
        for r in range(count):
            mark(logits[first + r], sample[first + r], winner[r])


@kernel
def noise(out, classes, seed, seeds, groups, rows, row_offset, class_offset, stream, start, stop):
    out = table(out, groups * rows, classes)
    numbers, drawn, lanes = _new_noise(), _new_words(), _new_lanes()
    for first in range(start, stop, LANES):
        count = _rows_in_tile(first, stop)
        width = _width_of(count)
        wanted = numbers[width * (class_offset % WORDS) :]
        _number_lanes(lanes, seed, seeds, rows, row_offset, first, count)
        if stream == GUMBEL_STREAM:
            _fill_tile(numbers, drawn, lanes, width, classes, class_offset, GUMBEL_STREAM, exponential)
            for j in range(width * classes):
                wanted[j] = -log(wanted[j])
        else:
            _fill_tile(numbers, drawn, lanes, width, classes, class_offset, LOGISTIC_STREAM, logistic)
        for r in range(count):
            row, column = out[first + r], wanted[r:]
            for k in range(classes):
                row[k] = column[width * k]
