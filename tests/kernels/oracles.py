"""What the kernels must reproduce, once more: in Python's integers, in float64, one element at a time."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import mpmath
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

__all__ = [
    "EXTREME_PLACES",
    "KNOWN_ANSWERS",
    "as_words",
    "assert_close_in_ulp",
    "extreme_words",
    "gumbel_of",
    "logistic_of",
    "philox",
    "precise_noise",
    "softmax",
    "word_at",
    "word_grid",
]

LARGEST = 0xFFFFFFFF
EXTREME = 4096
"""Words at either end that a second one resolves."""

KNOWN_ANSWERS = {
    "zeros": ((0, 0, 0, 0), (0, 0), (0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8)),
    "ones": ((LARGEST,) * 4, (LARGEST,) * 2, (0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD)),
    "pi": (
        (0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344),
        (0xA4093822, 0x299F31D0),
        (0xD16CFE09, 0x94FDCCEB, 0x5001E420, 0x24126EA1),
    ),
}
"""Counter, key and words of Philox-4x32-10 as its authors publish them (Salmon et al., SC 2011)."""

EXTREME_PLACES = {
    "gumbel": [
        (7, 6831052, 693, 0),
        (7, 2335857, 308, 1),
        (7, 3181107, 608, LARGEST - 1),
        (7, 1037201, 239, LARGEST),
        (7, 883111, 887, EXTREME - 1),
        (7, 1962235, 630, EXTREME),
    ],
    "logistic": [
        (7, 754363, 20, 0),
        (7, 3366110, 258, 1),
        (7, 9635962, 51, LARGEST - 1),
        (7, 7019963, 596, LARGEST),
        (7, 196266, 498, EXTREME - 1),
        (7, 518736, 608, EXTREME),
    ],
}
"""Seed, row and class of words at both ends and where the extreme ones end, found by search, and the words."""


def philox(counter: Sequence[int], key: Sequence[int], rounds: int = 10) -> tuple[int, int, int, int]:
    """Philox-4x32 as in the paper: multiply, take high and low words, cross them, bump the key."""
    c0, c1, c2, c3 = counter
    k0, k1 = key
    for _ in range(rounds):
        p0, p1 = 0xD2511F53 * c0, 0xCD9E8D57 * c2
        c0, c1, c2, c3 = (p1 >> 32) ^ c1 ^ k0, p1 & LARGEST, (p0 >> 32) ^ c3 ^ k1, p0 & LARGEST
        k0, k1 = (k0 + 0x9E3779B9) & LARGEST, (k1 + 0xBB67AE85) & LARGEST
    return c0, c1, c2, c3


def word_at(seed: int, row: int, class_: int, stream: int) -> int:
    """The random word of one row and class."""
    seed %= 1 << 64
    counter = (stream, class_ // 4, row >> 32, row & LARGEST)
    return philox(counter, (seed & LARGEST, seed >> 32))[class_ % 4]


def gumbel_of(words: NDArray[np.uint64], seconds: NDArray[np.uint64] | None = None) -> NDArray[np.float64]:
    """-log(-log(1 - v)) for v = (word + 1/2) / 2^32, or of two words, in float64 without cancellation."""
    distance, upper = _distance(words, seconds)
    return -np.log(np.where(upper, -np.log(distance), -np.log1p(-distance)))


def logistic_of(words: NDArray[np.uint64], seconds: NDArray[np.uint64] | None = None) -> NDArray[np.float64]:
    """log v - log(1 - v) for v = (word + 1/2) / 2^32, or of two words."""
    distance, upper = _distance(words, seconds)
    return np.where(upper, -1.0, 1.0) * (np.log(distance) - np.log1p(-distance))


def _distance(words: NDArray[np.uint64], seconds: NDArray[np.uint64] | None) -> tuple[NDArray[Any], NDArray[np.bool_]]:
    """Distance of v to the nearer end of the unit interval, and whether that is the upper one. Exact in float64."""
    upper = words > LARGEST // 2
    cells = np.where(upper, LARGEST - words, words).astype(np.float64)
    part = np.full(words.shape, 0.5)
    if seconds is not None:
        part = np.where(cells < EXTREME, (seconds.astype(np.float64) + 0.5) * 2.0**-32, part)
    return (cells + part) * 2.0**-32, upper


def precise_noise(family: str, word: int, second: int | None = None) -> float:
    """The noise of a word, or of an extreme word and a second one, by mpmath in 60 digits."""
    with mpmath.workdps(60):
        upper = word > LARGEST // 2
        cells = LARGEST - word if upper else word
        resolved = second is not None and cells < EXTREME
        part = (mpmath.mpf(second) + 0.5) / 2**32 if resolved else mpmath.mpf(0.5)
        distance = (cells + part) / 2**32
        v = 1 - distance if upper else distance
        return float(-mpmath.log(-mpmath.log(1 - v)) if family == "gumbel" else mpmath.log(v) - mpmath.log(1 - v))


def softmax(scores: Sequence[float], tau: float) -> list[float]:
    """Softmax of scores / tau for one row, in Python's floats."""
    top = max(scores)
    weights = [math.exp((score - top) / tau) for score in scores]
    return [weight / math.fsum(weights) for weight in weights]


def extreme_words() -> list[int]:
    """Both ends and the middle, where formulas change branches."""
    return [
        0,
        1,
        2,
        EXTREME - 1,
        EXTREME,
        2**31 - 1,
        2**31,
        LARGEST - EXTREME,
        LARGEST - EXTREME + 1,
        LARGEST - 1,
        LARGEST,
    ]


def word_grid(count: int = 1 << 19) -> NDArray[np.uint64]:
    """Words at even distances, and those around every power of two from either end, each once."""
    around = np.arange(-300, 301)
    powers = (1 << np.arange(33))[:, None] + around
    branches = np.array([round(2.0**32 * v) for v in (1 - math.sqrt(0.5), 1 - math.exp(-1), 0.5)])[:, None] + around
    near = np.concatenate([powers.ravel(), LARGEST - powers.ravel(), branches.ravel()])
    everywhere = np.linspace(0, LARGEST, count).astype(np.int64)
    return np.unique(np.clip(np.concatenate([near, everywhere]), 0, LARGEST)).astype(np.uint64)


def assert_close_in_ulp(values: Tensor | NDArray[np.floating], exact: NDArray[np.float64], ulps: float) -> None:
    """Check float32 values against exact ones in units in the last place, or in those of one where they are smaller.

    Noise near zero is the logarithm of a number near one, which float32 resolves no better than that.
    """
    values = (values.numpy() if isinstance(values, Tensor) else values).ravel()
    exact = exact.ravel()
    assert values.dtype == np.float32
    unit = np.spacing(np.maximum(np.abs(exact), 1.0).astype(np.float32)).astype(np.float64)
    error = np.abs(values.astype(np.float64) - exact) / unit
    worst = int(error.argmax())
    if not error[worst] <= ulps:
        raise AssertionError(f"{values[worst]} instead of {exact[worst]}: off by {error[worst]:.3g} ulp, not {ulps}")


def as_words(words: NDArray[np.uint64]) -> Tensor:
    """Words as the int64 tensor that the reference computes with, shape ``(1, 1, words)``."""
    return torch.from_numpy(words.astype(np.int64))[None, None]
