"""Kernels for rows of many classes: the lanes of a vector are neighboring classes of one row.

A kernel handles the rows [start, stop) of tables of shape ``(groups * rows, classes)``, which it is given by their
addresses. Row i belongs to group ``i // rows`` and is number ``row_offset + i % rows`` in it. ``tau`` is the
temperature of all rows, or ``taus`` the address of one for each; ``seed`` and ``seeds`` likewise, for each group.
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
    sigmoid,
    uniform,
    uniform_of_two,
    words,
)
from drawgrad.kernels.cpu.views import halves, indices, room, seed_of, table, temperature
from drawgrad.kernels.philox import GUMBEL_STREAM, LOGISTIC_STREAM, SECOND, WORD, WORDS

__all__ = [
    "binary_concrete",
    "binary_concrete_vjp",
    "gumbel_max",
    "gumbel_one_hot",
    "gumbel_softmax",
    "gumbel_softmax_vjp",
    "is_between",
    "mark",
    "new_scratch",
    "noise",
    "sigmoid_vjp",
    "softmax_vjp",
]

f32 = np.float32
CHUNK = 1024
"""Classes whose random words are held at a time: they stay in the first-level cache."""
INFINITY, MINUS_INFINITY, NAN = f32(np.inf), f32(-np.inf), f32(np.nan)
new_scratch = room(uint64, CHUNK // 2 + WORDS)
"""Room for the random words of a chunk, which may begin and end within an evaluation."""
_new_buffer = room(float32, CHUNK)
HALF, WORD_MASK = uint64(32), uint64(WORD)


@device_function()
def _evaluate(block, row, key, stream):
    """Four random words, joined in pairs."""
    w0, w1, w2, w3 = words(uint64(stream), uint64(block), row >> HALF, row & WORD_MASK, key & WORD_MASK, key >> HALF)
    return uint64(w0) | uint64(w1) << HALF, uint64(w2) | uint64(w3) << HALF


@device_function()
def draw_words(scratch, seed, row, first_class, count, stream):
    """Random words of the classes from ``first_class``, a multiple of the words of one evaluation."""
    first = first_class // WORDS
    # Two evaluations at a time: the steps of one wait for each other. Pairs of words need the fewest shuffles.
    for pair in range((count + 2 * WORDS - 1) // (2 * WORDS)):
        block = first + 2 * pair
        scratch[4 * pair], scratch[4 * pair + 1] = _evaluate(block, uint64(row), uint64(seed), stream)
        scratch[4 * pair + 2], scratch[4 * pair + 3] = _evaluate(block + 1, uint64(row), uint64(seed), stream)


@device_function()
def draw(out, scratch, seed, row, first_class, stream, transform):
    """Fill ``out``, at most a chunk, with a function of the uniform numbers of neighboring classes of one row."""
    skip = first_class % WORDS
    count = out.shape[0]
    draw_words(scratch, seed, row, first_class - skip, skip + count, stream)
    # A view that begins at zero: an offset inside the loop could wrap around as far as the compiler knows.
    drawn = halves(scratch)[skip:]
    nearest = uint32(WORD)
    for j in range(count):
        nearest = min(nearest, nearness(drawn[j]))
        out[j] = transform(uniform(drawn[j]))
    if is_extreme(nearest):
        for j in range(count):
            if is_extreme(nearness(drawn[j])):
                second = _word_at(seed, row, first_class + j, stream + SECOND)
                out[j] = transform(uniform_of_two(drawn[j], second))


@device_function()
def _word_at(seed, row, class_, stream):
    pairs = _evaluate(class_ // WORDS, uint64(row), uint64(seed), stream)
    return uint32(pairs[class_ % WORDS // 2] >> uint64(32 * (class_ % 2)))


@device_function()
def gumbel_scores(logits, scores, scratch, seed, row, class_offset):
    """Logits + Gumbel for one row; the largest of them, NaN if one is, minus infinity if there are none."""
    top = MINUS_INFINITY
    for begin in range(0, logits.shape[0], CHUNK):
        chunk = logits[begin : begin + CHUNK]
        out = scores[begin : begin + chunk.shape[0]]
        draw(out, scratch, seed, row, class_offset + begin, GUMBEL_STREAM, exponential)
        for j in range(out.shape[0]):
            out[j] = chunk[j] - log(out[j])
            top = larger(top, out[j])
    return top


@device_function("reassoc")
def exponentiate(scores, top, inverse_tau):
    """Turn scores into exp((score - top) / tau), in place; their sum, NaN if a score is NaN or +inf."""
    shift = top if top > MINUS_INFINITY else f32(0)
    total = f32(0)
    for j in range(scores.shape[0]):
        value = exp((scores[j] - shift) * inverse_tau)
        scores[j] = value
        total += value
    return total


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
    scratch = new_scratch()
    for i in range(start, stop):
        row = sample[i]
        top = gumbel_scores(
            logits[i], row, scratch, seed_of(seed, seeds, i // rows), row_offset + i % rows, class_offset
        )
        scale = reciprocal(exponentiate(row, top, inverse(temperature(tau, taus, i))))
        for j in range(row.shape[0]):
            row[j] *= scale


@device_function("reassoc")
def _exponentiate_against(scores, grad, top, inverse_tau):
    """:func:`exponentiate`, and the sum of the results times ``grad`` in the same pass."""
    shift = top if top > MINUS_INFINITY else f32(0)
    total, weighted = f32(0), f32(0)
    for j in range(scores.shape[0]):
        value = exp((scores[j] - shift) * inverse_tau)
        scores[j] = value
        total += value
        product = value * grad[j]
        weighted += f32(0) if value == f32(0) else product
    return total, weighted


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
    scratch = new_scratch()
    for i in range(start, stop):
        row = out[i]
        top = gumbel_scores(
            logits[i], row, scratch, seed_of(seed, seeds, i // rows), row_offset + i % rows, class_offset
        )
        inverse_tau = inverse(temperature(tau, taus, i))
        total, weighted = _exponentiate_against(row, grad[i], top, inverse_tau)
        scale = reciprocal(total)
        _center(grad[i], row, row, scale, weighted * scale, inverse_tau)


@kernel
def softmax_vjp(grad, sample, out, classes, tau, taus, count, start, stop):
    grad, sample, out = table(grad, count, classes), table(sample, count, classes), table(out, count, classes)
    for i in range(start, stop):
        mean = _weighted_sum(sample[i], grad[i])
        _center(grad[i], sample[i], out[i], f32(1), mean, inverse(temperature(tau, taus, i)))


@device_function()
def _winner(logits, buffer, scratch, seed, row, class_offset):
    """The class of the largest logit + Gumbel of one row."""
    best, winner = MINUS_INFINITY, -1
    for begin in range(0, logits.shape[0], CHUNK):
        chunk = logits[begin : begin + CHUNK]
        scores = buffer[: chunk.shape[0]]
        top = gumbel_scores(chunk, scores, scratch, seed, row, class_offset + begin)
        if not top <= best:
            best, winner = top, begin + _find(scores, top)
            if not best < INFINITY:
                break
    return winner


@device_function()
def _find(scores, top):
    """Where the first of the largest scores is, or the first NaN or +inf if there is one."""
    bound = top if top < INFINITY else INFINITY
    count = int32(scores.shape[0])
    first = count
    for j in range(count):
        place = count if scores[j] < bound else int32(j)
        first = min(first, place)
    return first


@kernel
def gumbel_max(logits, index, classes, seed, seeds, groups, rows, row_offset, class_offset, start, stop):
    logits, index = table(logits, groups * rows, classes), indices(index, groups * rows)
    scratch, buffer = new_scratch(), _new_buffer()
    for i in range(start, stop):
        index[i] = _winner(
            logits[i], buffer, scratch, seed_of(seed, seeds, i // rows), row_offset + i % rows, class_offset
        )


@device_function()
def mark(logits, sample, winner):
    """The one-hot vector of a row's winner."""
    # The winner of a row with a NaN or +inf is the first of them.
    failed = winner >= 0 and not logits[winner] < INFINITY
    rest = NAN if failed else f32(0)
    for k in range(sample.shape[0]):
        sample[k] = rest
    if winner >= 0 and not failed:
        sample[winner] = f32(1)


@kernel
def gumbel_one_hot(logits, sample, classes, seed, seeds, groups, rows, row_offset, class_offset, start, stop):
    logits, sample = table(logits, groups * rows, classes), table(sample, groups * rows, classes)
    scratch, buffer = new_scratch(), _new_buffer()
    for i in range(start, stop):
        winner = _winner(
            logits[i], buffer, scratch, seed_of(seed, seeds, i // rows), row_offset + i % rows, class_offset
        )
        mark(logits[i], sample[i], winner)


@kernel
def noise(out, classes, seed, seeds, groups, rows, row_offset, class_offset, stream, start, stop):
    out = table(out, groups * rows, classes)
    scratch = new_scratch()
    for i in range(start, stop):
        for begin in range(0, out.shape[1], CHUNK):
            chunk = out[i, begin : begin + CHUNK]
            place = seed_of(seed, seeds, i // rows), row_offset + i % rows, class_offset + begin
            if stream == GUMBEL_STREAM:
                draw(chunk, scratch, *place, GUMBEL_STREAM, exponential)
                for j in range(chunk.shape[0]):
                    chunk[j] = -log(chunk[j])
            else:
                draw(chunk, scratch, *place, LOGISTIC_STREAM, logistic)


@kernel
def binary_concrete(
    logits, sample, classes, tau, taus, seed, seeds, groups, rows, row_offset, class_offset, hard, start, stop
):
    count = groups * rows
    logits, sample = table(logits, count, classes), table(sample, count, classes)
    scratch = new_scratch()
    for i in range(start, stop):
        inverse_tau = inverse(temperature(tau, taus, i))
        for begin in range(0, logits.shape[1], CHUNK):
            chunk = logits[i, begin : begin + CHUNK]
            out = sample[i, begin : begin + CHUNK]
            draw(
                out,
                scratch,
                seed_of(seed, seeds, i // rows),
                row_offset + i % rows,
                class_offset + begin,
                LOGISTIC_STREAM,
                logistic,
            )
            if hard:
                for j in range(out.shape[0]):
                    score = chunk[j] + out[j]
                    bit = f32(1) if score > f32(0) else f32(0)
                    out[j] = bit if score == score else score
            else:
                for j in range(out.shape[0]):
                    out[j] = sigmoid((chunk[j] + out[j]) * inverse_tau)


@kernel
def is_between(sample, count, top):
    """Whether all numbers are greater than zero and less than ``top``; NaN is not."""
    numbers = table(sample, 1, count)[0]
    inside = True
    for j in range(count):
        inside &= (numbers[j] > f32(0)) & (numbers[j] < f32(top))
    return inside


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
    scratch = new_scratch()
    for i in range(start, stop):
        inverse_tau = inverse(temperature(tau, taus, i))
        for begin in range(0, logits.shape[1], CHUNK):
            chunk = logits[i, begin : begin + CHUNK]
            upstream = grad[i, begin : begin + CHUNK]
            out = result[i, begin : begin + CHUNK]
            draw(
                out,
                scratch,
                seed_of(seed, seeds, i // rows),
                row_offset + i % rows,
                class_offset + begin,
                LOGISTIC_STREAM,
                logistic,
            )
            for j in range(out.shape[0]):
                out[j] = _sigmoid_vjp(upstream[j], sigmoid((chunk[j] + out[j]) * inverse_tau), inverse_tau)


@kernel
def sigmoid_vjp(grad, sample, out, classes, tau, taus, count, start, stop):
    grad, sample, out = table(grad, count, classes), table(sample, count, classes), table(out, count, classes)
    for i in range(start, stop):
        upstream, row, result = grad[i], sample[i], out[i]
        inverse_tau = inverse(temperature(tau, taus, i))
        for j in range(row.shape[0]):
            result[j] = _sigmoid_vjp(upstream[j], row[j], inverse_tau)
