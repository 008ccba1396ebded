"""The counter-based random numbers of every draw: Philox-4x32-10, in torch operations.

A random number is a function of (seed; row, class, stream) and of nothing else, so a draw does not depend on how the
batch is split, on the device or on the thread that computes it, and a backward pass computes it again instead of
storing it.

This file is the specification. The other twins must reproduce :func:`random_bits` bit for bit.

The counter of a class is ``(stream, class // 4, row >> 32, row & 0xffffffff)`` and its word is ``class % 4``: the four
words that one evaluation yields belong to four neighboring classes of one row. Stream and high row word are constant
over a tile of rows and classes, which lets a kernel hoist three of the twenty multiplications out of its loop.

References:
    Salmon, Moraes, Dror, Shaw. Parallel random numbers: as easy as 1, 2, 3. SC 2011.
"""

from __future__ import annotations

import torch
from torch import Tensor

__all__ = [
    "CLASSES",
    "EXTREME",
    "GUMBEL_STREAM",
    "LOGISTIC_STREAM",
    "ROWS",
    "SECOND",
    "WORD",
    "WORDS",
    "philox_4x32",
    "random_bits",
    "words_at",
]

WORDS = 4
"""Random words that one evaluation of the generator yields."""
WORD = 0xFFFFFFFF
"""The largest 32-bit word, and the mask of one."""

CLASSES = WORDS << 32
"""Classes that the generator can count: their block is one word of the counter."""
ROWS = 1 << 63
"""Rows that it can count, in the integers of torch."""

MULTIPLIERS = (0xD2511F53, 0xCD9E8D57)
KEY_STEPS = (0x9E3779B9, 0xBB67AE85)
ROUNDS = 10

GUMBEL_STREAM = 0
LOGISTIC_STREAM = 1
"""Categorical and binary draws read different streams, so that one seed gives independent ones."""
SECOND = 2
"""What is added to a stream to get that of the second words."""
EXTREME = 1 << 12
"""Words at either end that are followed by a second one: so many cells of 2^-32 are resolved to 2^-64.

One number in half a million needs it, so it costs next to nothing. Beyond them a cell is at most 1/4096 of the
probability of the tail that it ends, so no event is drawn at a probability that is off by more than half of that.
"""


def philox_4x32(counter: tuple[Tensor, Tensor, Tensor, Tensor], key: tuple[Tensor, Tensor]) -> tuple[Tensor, ...]:
    """Four random 32-bit words for each counter, by ten Philox rounds.

    Args:
        counter: four int64 tensors of 32-bit words that broadcast with each other and with ``key``.
        key: two int64 tensors of 32-bit words.

    Returns:
        Four int64 tensors of 32-bit words, of the broadcast shape.
    """
    c0, c1, c2, c3 = counter
    k0, k1 = key
    for _ in range(ROUNDS):
        high0, low0 = _multiply(MULTIPLIERS[0], c0)
        high1, low1 = _multiply(MULTIPLIERS[1], c2)
        c0, c1, c2, c3 = high1 ^ c1 ^ k0, low1, high0 ^ c3 ^ k1, low0
        k0 = (k0 + KEY_STEPS[0]) & WORD
        k1 = (k1 + KEY_STEPS[1]) & WORD
    return c0, c1, c2, c3


def _multiply(constant: int, word: Tensor) -> tuple[Tensor, Tensor]:
    """High and low word of a 32 x 32-bit product, in halves: int64 never overflows, so any exporter gets it right."""
    low = constant * (word & 0xFFFF)
    middle = constant * (word >> 16) + (low >> 16)
    return middle >> 16, ((middle & 0xFFFF) << 16) | (low & 0xFFFF)


def random_bits(seed: Tensor, rows: int, classes: int, row_offset: int, class_offset: int, stream: int) -> Tensor:
    """The random word of every (row, class) of a block, for each seed.

    Args:
        seed: int64, shape ``(groups,)``; every group numbers its rows from ``row_offset``.
        rows: rows in a group.
        classes: classes in a row.
        row_offset: number of the block's first row.
        class_offset: number of the block's first class.
        stream: which of the independent streams of the seed.

    Returns:
        int64 of values in [0, 2^32), shape ``(groups, rows, classes)``.
    """
    row = torch.arange(row_offset, row_offset + rows, device=seed.device)[None, :, None]
    first, skip = divmod(class_offset, WORDS)
    # Always more words than classes: a graph for any number of classes does not ask whether there are some to cut off.
    blocks = (skip + classes) // WORDS + 1
    block = torch.arange(first, first + blocks, device=seed.device)[None, None, :]
    seed = seed[:, None, None]
    counter = (torch.full_like(block, stream), block, (row >> 32) & WORD, row & WORD)
    words = philox_4x32(counter, (seed & WORD, (seed >> 32) & WORD))
    bits = torch.stack(torch.broadcast_tensors(*words), dim=-1).flatten(-2)
    return bits[..., skip : skip + classes]


def words_at(seed: Tensor, row: Tensor, class_: Tensor, stream: int) -> Tensor:
    """The random words of single places: int64 like ``seed``, ``row`` and ``class_``, which have one shape."""
    counter = (torch.full_like(row, stream), class_ // WORDS, (row >> 32) & WORD, row & WORD)
    words = torch.stack(philox_4x32(counter, (seed & WORD, (seed >> 32) & WORD)), dim=-1)
    return words.gather(-1, (class_ % WORDS)[..., None])[..., 0]
