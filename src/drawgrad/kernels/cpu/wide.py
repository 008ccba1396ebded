"""Kernels for rows of many classes: the lanes of a vector are neighboring classes of one row.

A kernel handles the rows [start, stop) of tables of shape ``(groups * rows, classes)``, which it is given by their
addresses. Row i belongs to group ``i // rows`` and is number ``row_offset + i % rows`` in it. ``tau`` is the
temperature of all rows, or ``taus`` the address of one for each; ``seed`` and ``seeds`` likewise, for each group.
"""

from __future__ import annotations

import numpy as np
from numba import int32, uint64

from drawgrad.kernels.cpu.jit import device_function, kernel
from drawgrad.kernels.cpu.scalar import bits_of, exp, float_of, gumbel, inverse, logistic, sigmoid, words
from drawgrad.kernels.cpu.views import indices, seeds_of, table, temperatures
from drawgrad.kernels.philox import GUMBEL_STREAM, LOGISTIC_STREAM, WORD, WORDS

__all__ = [
    "binary_concrete",
    "binary_concrete_vjp",
    "gumbel_max",
    "gumbel_one_hot",
    "gumbel_softmax",
    "gumbel_softmax_vjp",
    "mark",
    "noise",
    "ordered",
    "sigmoid_vjp",
    "softmax_vjp",
]

f32 = np.float32
CHUNK = 1024
"""Classes whose random words are held at a time: they stay in the first-level cache."""
INFINITY, MINUS_INFINITY = f32(np.inf), f32(-np.inf)
NAN = f32(np.nan)
MAGNITUDE = int32(0x7FFFFFFF)
SIGN = int32(31)
LOWEST = int32(-0x7F800001)
"""The order-preserving integer of minus infinity."""


@device_function()
def draw_words(out, seed, row, first_class, count, stream):
    """Random words of the classes from ``first_class``, a multiple of the words of one evaluation."""
    k0, k1 = uint64(seed) & uint64(WORD), uint64(seed) >> uint64(32)
    row_high, row_low = uint64(row) >> uint64(32), uint64(row) & uint64(WORD)
    first = uint64(first_class) // uint64(WORDS)
    for block in range((count + WORDS - 1) // WORDS):
        w0, w1, w2, w3 = words(uint64(stream), first + uint64(block), row_high, row_low, k0, k1)
        out[WORDS * block] = w0
        out[WORDS * block + 1] = w1
        out[WORDS * block + 2] = w2
        out[WORDS * block + 3] = w3


@device_function()
def ordered(bits):
    """Between a float's bits and an integer ordered as the floats are; its own inverse."""
    return int32(bits ^ (int32(bits >> SIGN) & MAGNITUDE))


@device_function()
def largest(values, count):
    """The largest of the first ``count`` values; NaN if one is NaN or +inf, minus infinity if there are none.

    Maxima of integers are vectorised; those of floats are not, for the sake of NaN, which are counted instead.
    """
    top, failures = LOWEST, int32(0)
    for j in range(count):
        top = max(top, ordered(bits_of(values[j])))
        failures += int32(values[j] != values[j])
    largest = float_of(ordered(top))
    return NAN if failures or largest == INFINITY else largest


@device_function()
def draw(noise, scratch, seed, row, first_class, stream):
    """Fill ``noise``, at most a chunk, with the noise of neighboring classes of one row."""
    skip = first_class % WORDS
    count = noise.shape[0]
    draw_words(scratch, seed, row, first_class - skip, skip + count, stream)
    drawn = scratch[skip:]
    if stream == GUMBEL_STREAM:
        for j in range(count):
            noise[j] = gumbel(drawn[j])
    else:
        for j in range(count):
            noise[j] = logistic(drawn[j])


@device_function()
def gumbel_scores(logits, scores, scratch, seed, row, class_offset):
    """Logits + Gumbel for one row."""
    skip = class_offset % WORDS
    for begin in range(0, logits.shape[0], CHUNK):
        count = min(CHUNK, logits.shape[0] - begin)
        draw_words(scratch, seed, row, class_offset - skip + begin, skip + count, GUMBEL_STREAM)
        # Views that begin at zero: an offset inside the loop could wrap around as far as the compiler knows.
        drawn, chunk, out = scratch[skip:], logits[begin:], scores[begin:]
        for j in range(count):
            out[j] = chunk[j] + gumbel(drawn[j])


@device_function("reassoc")
def exponentiate(scores, inverse_tau):
    """Turn scores into exp((score - largest) / tau), in place; their sum."""
    top = largest(scores, scores.shape[0])
    shift = top if top > MINUS_INFINITY else f32(0)
    total = f32(0)
    for j in range(scores.shape[0]):
        value = exp((scores[j] - shift) * inverse_tau)
        scores[j] = value
        total += value
    return NAN if top != top else total


@device_function()
def reciprocal(total):
    """1 / total; zero for the sum of a row in which nothing is allowed."""
    return f32(1) / total if total != f32(0) else f32(0)


@kernel
def gumbel_softmax(
    logits, sample, classes, tau, taus, seed, seeds, groups, rows, row_offset, class_offset, start, stop
):
    count = groups * rows
    logits, sample = table(logits, count, classes), table(sample, count, classes)
    tau, seeds = temperatures(tau, taus, count), seeds_of(seed, seeds, groups)
    scratch = np.empty(CHUNK + WORDS, np.uint32)
    for i in range(start, stop):
        row = sample[i]
        gumbel_scores(logits[i], row, scratch, seeds[i // rows], row_offset + i % rows, class_offset)
        scale = reciprocal(exponentiate(row, inverse(tau[i % tau.shape[0]])))
        for j in range(row.shape[0]):
            row[j] *= scale


@device_function("reassoc")
def _exponentiate_against(scores, grad, inverse_tau):
    """:func:`exponentiate`, and the sum of the results times ``grad`` in the same pass."""
    top = largest(scores, scores.shape[0])
    shift = top if top > MINUS_INFINITY else f32(0)
    total, weighted = f32(0), f32(0)
    for j in range(scores.shape[0]):
        value = exp((scores[j] - shift) * inverse_tau)
        scores[j] = value
        total += value
        product = value * grad[j]
        weighted += f32(0) if value == f32(0) else product
    return NAN if top != top else total, weighted


@device_function("reassoc")
def _weighted_sum(weights, grad):
    total = f32(0)
    for j in range(weights.shape[0]):
        weight = weights[j]
        product = weight * grad[j]
        total += f32(0) if weight == f32(0) else product
    return total


@device_function()
def _center(grad, weights, out, scale, mean, inverse_tau):
    """The gradient of one row from the sample ``weights * scale``; exactly zero where the sample is."""
    for j in range(weights.shape[0]):
        y = weights[j] * scale
        value = y * (grad[j] - mean) * inverse_tau
        out[j] = f32(0) if y == f32(0) else value


@kernel
def gumbel_softmax_vjp(
    grad, logits, out, classes, tau, taus, seed, seeds, groups, rows, row_offset, class_offset, start, stop
):
    count = groups * rows
    grad, logits, out = table(grad, count, classes), table(logits, count, classes), table(out, count, classes)
    tau, seeds = temperatures(tau, taus, count), seeds_of(seed, seeds, groups)
    scratch = np.empty(CHUNK + WORDS, np.uint32)
    for i in range(start, stop):
        row = out[i]
        gumbel_scores(logits[i], row, scratch, seeds[i // rows], row_offset + i % rows, class_offset)
        inverse_tau = inverse(tau[i % tau.shape[0]])
        total, weighted = _exponentiate_against(row, grad[i], inverse_tau)
        scale = reciprocal(total)
        _center(grad[i], row, row, scale, weighted * scale, inverse_tau)


@kernel
def softmax_vjp(grad, sample, out, classes, tau, taus, count, start, stop):
    grad, sample, out = table(grad, count, classes), table(sample, count, classes), table(out, count, classes)
    tau = temperatures(tau, taus, count)
    for i in range(start, stop):
        mean = _weighted_sum(sample[i], grad[i])
        _center(grad[i], sample[i], out[i], f32(1), mean, inverse(tau[i % tau.shape[0]]))


@device_function()
def _winner(logits, buffer, scratch, seed, row, class_offset):
    """The class of the largest logit + Gumbel of one row."""
    best, winner = MINUS_INFINITY, -1
    for begin in range(0, logits.shape[0], CHUNK):
        chunk = logits[begin : begin + CHUNK]
        scores = buffer[: chunk.shape[0]]
        gumbel_scores(chunk, scores, scratch, seed, row, class_offset + begin)
        top = largest(scores, scores.shape[0])
        if top > best or top != top:
            best, winner = top, begin + _find(scores, top)
        if best != best:
            break
    return winner


@device_function()
def _find(scores, top):
    j = 0
    if top != top:
        while scores[j] < INFINITY:
            j += 1
    else:
        while scores[j] != top:
            j += 1
    return j


@kernel
def gumbel_max(logits, index, classes, seed, seeds, groups, rows, row_offset, class_offset, start, stop):
    logits, index = table(logits, groups * rows, classes), indices(index, groups * rows)
    seeds = seeds_of(seed, seeds, groups)
    scratch, buffer = np.empty(CHUNK + WORDS, np.uint32), np.empty(CHUNK, np.float32)
    for i in range(start, stop):
        index[i] = _winner(logits[i], buffer, scratch, seeds[i // rows], row_offset + i % rows, class_offset)


@device_function()
def mark(logits, sample, winner):
    """The one-hot vector of a row's winner."""
    # The winner of a row with a NaN or +inf is the first of them.
    failed = winner >= 0 and not logits[winner] < INFINITY
    sample[:] = NAN if failed else f32(0)
    if winner >= 0 and not failed:
        sample[winner] = f32(1)


@kernel
def gumbel_one_hot(logits, sample, classes, seed, seeds, groups, rows, row_offset, class_offset, start, stop):
    logits, sample = table(logits, groups * rows, classes), table(sample, groups * rows, classes)
    seeds = seeds_of(seed, seeds, groups)
    scratch, buffer = np.empty(CHUNK + WORDS, np.uint32), np.empty(CHUNK, np.float32)
    for i in range(start, stop):
        winner = _winner(logits[i], buffer, scratch, seeds[i // rows], row_offset + i % rows, class_offset)
        mark(logits[i], sample[i], winner)


@kernel
def noise(out, classes, seed, seeds, groups, rows, row_offset, class_offset, stream, start, stop):
    out, seeds = table(out, groups * rows, classes), seeds_of(seed, seeds, groups)
    scratch = np.empty(CHUNK + WORDS, np.uint32)
    for i in range(start, stop):
        for begin in range(0, out.shape[1], CHUNK):
            chunk = out[i, begin : begin + CHUNK]
            draw(chunk, scratch, seeds[i // rows], row_offset + i % rows, class_offset + begin, stream)


@kernel
def binary_concrete(
    logits, sample, classes, tau, taus, seed, seeds, groups, rows, row_offset, class_offset, hard, start, stop
):
    count = groups * rows
    logits, sample = table(logits, count, classes), table(sample, count, classes)
    tau, seeds = temperatures(tau, taus, count), seeds_of(seed, seeds, groups)
    scratch = np.empty(CHUNK + WORDS, np.uint32)
    for i in range(start, stop):
        inverse_tau = inverse(tau[i % tau.shape[0]])
        for begin in range(0, logits.shape[1], CHUNK):
            chunk = logits[i, begin : begin + CHUNK]
            out = sample[i, begin : begin + CHUNK]
            draw(out, scratch, seeds[i // rows], row_offset + i % rows, class_offset + begin, LOGISTIC_STREAM)
            if hard:
                for j in range(out.shape[0]):
                    score = chunk[j] + out[j]
                    bit = f32(1) if score > f32(0) else f32(0)
                    out[j] = bit if score == score else score
            else:
                for j in range(out.shape[0]):
                    out[j] = sigmoid((chunk[j] + out[j]) * inverse_tau)


@device_function()
def _sigmoid_vjp(upstream, y, inverse_tau):
    slope = y * (f32(1) - y)
    value = upstream * slope * inverse_tau
    return f32(0) if slope == f32(0) else value


@kernel
def binary_concrete_vjp(
    grad, logits, result, classes, tau, taus, seed, seeds, groups, rows, row_offset, class_offset, start, stop
):
    count = groups * rows
    grad, logits, result = table(grad, count, classes), table(logits, count, classes), table(result, count, classes)
    tau, seeds = temperatures(tau, taus, count), seeds_of(seed, seeds, groups)
    scratch = np.empty(CHUNK + WORDS, np.uint32)
    for i in range(start, stop):
        inverse_tau = inverse(tau[i % tau.shape[0]])
        for begin in range(0, logits.shape[1], CHUNK):
            chunk = logits[i, begin : begin + CHUNK]
            upstream = grad[i, begin : begin + CHUNK]
            out = result[i, begin : begin + CHUNK]
            draw(out, scratch, seeds[i // rows], row_offset + i % rows, class_offset + begin, LOGISTIC_STREAM)
            for j in range(out.shape[0]):
                out[j] = _sigmoid_vjp(upstream[j], sigmoid((chunk[j] + out[j]) * inverse_tau), inverse_tau)


@kernel
def sigmoid_vjp(grad, sample, out, classes, tau, taus, count, start, stop):
    grad, sample, out = table(grad, count, classes), table(sample, count, classes), table(out, count, classes)
    tau = temperatures(tau, taus, count)
    for i in range(start, stop):
        upstream, row, result = grad[i], sample[i], out[i]
        inverse_tau = inverse(tau[i % tau.shape[0]])
        for j in range(row.shape[0]):
            result[j] = _sigmoid_vjp(upstream[j], row[j], inverse_tau)
