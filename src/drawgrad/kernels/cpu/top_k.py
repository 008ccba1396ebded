"""The k best classes of every row, in one pass: a heap of those that are best so far, and a look at who exceeds it.

Arguments as in :mod:`drawgrad.kernels.cpu.wide`.
"""

from __future__ import annotations

from numba import float32, int32, int64, uint32

from drawgrad.kernels.cpu.jit import device_function, kernel
from drawgrad.kernels.cpu.scalar import bits_of, float_of
from drawgrad.kernels.cpu.views import indices, room, seed_of, table
from drawgrad.kernels.cpu.wide import CHUNK, MINUS_INFINITY, gumbel_scores, new_scratch

__all__ = ["gumbel_top_k"]

SPAN = 64
"""Classes that are compared with the least of the heap at a time, in vectors."""
_new_scores = room(float32, CHUNK + SPAN)
MAGNITUDE = int32(0x7FFFFFFF)
SIGN = int32(31)
LOWEST = int32(-0x7F800001)
"""The place of minus infinity in the order."""
HIGHEST = int32(0x7FFFFFFF)
"""The place of a NaN in the order: above all numbers."""
HALF = int64(32)
LAST = int64(0xFFFFFFFF)
NOBODY = int64(int64(LOWEST) << HALF)
"""A place that no class has taken: minus infinity exceeds it as little as any class that is not allowed."""


@device_function()
def _ordered(bits):
    """Between a float's bits and an integer ordered as the floats are; its own inverse."""
    return int32(bits ^ (int32(bits >> SIGN) & MAGNITUDE))


@device_function()
def _rank(score):
    """An integer ordered as scores are, NaN last."""
    return HIGHEST if score != score else _ordered(bits_of(score))


@device_function()
def _score(entry):
    """The score of an entry of the heap."""
    return float_of(_ordered(int32(entry >> HALF)))


@device_function()
def _sift(heap, size, entry):
    """Put an entry into the place of the least one of a heap, whose least is its first."""
    at = 0
    child = 1
    while child < size:
        if child + 1 < size and heap[child + 1] < heap[child]:
            child += 1
        if entry <= heap[child]:
            break
        heap[at] = heap[child]
        at = child
        child = 2 * at + 1
    heap[at] = entry


@device_function()
def _any_better(scores, least):
    """Whether a span holds a score that is better than the least of a heap, or NaN."""
    better = int32(0)
    for j in range(SPAN):
        better += int32(not scores[j] <= least)
    return better > 0


@device_function()
def _keep_best(scores, count, begin, heap):
    """Put the scores of the classes from ``begin`` that belong there into the heap."""
    # Whole spans, whose number of steps the compiler knows.
    for j in range(SPAN):
        scores[count + j] = MINUS_INFINITY
    least = _score(heap[0])
    for first in range(0, count, SPAN):
        span = scores[first:]
        if _any_better(span, least):
            for j in range(SPAN):
                if not span[j] <= least:
                    rank = _rank(span[j])
                    if rank > int32(heap[0] >> HALF):
                        _sift(heap, heap.shape[0], int64(int64(rank) << HALF) + (LAST - int64(begin + first + j)))
                        least = _score(heap[0])


@kernel
def gumbel_top_k(logits, values, index, classes, k, seed, seeds, groups, rows, row_offset, class_offset, start, stop):
    count = groups * rows
    logits, values, index = table(logits, count, classes), table(values, count, k), indices(index, count * k)
    scratch, scores = new_scratch(), _new_scores()
    for i in range(start, stop):
        # Rank and class in one number: of equal scores the first class is the better one. They lie where the classes
        # will, which leave the heap from its end.
        heap = index[i * k : (i + 1) * k]
        for place in range(k):
            heap[place] = NOBODY
        for begin in range(0, classes, CHUNK):
            chunk = logits[i, begin : begin + CHUNK]
            gumbel_scores(
                chunk, scores, scratch, seed_of(seed, seeds, i // rows), row_offset + i % rows, class_offset + begin
            )
            _keep_best(scores, chunk.shape[0], begin, heap)
        for place in range(k - 1, -1, -1):
            entry = heap[0]
            _sift(heap, place, heap[place])
            heap[place] = -1 if entry == NOBODY else LAST - int64(uint32(entry))
            values[i, place] = _score(entry)
