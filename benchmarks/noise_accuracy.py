"""How far the noise of the CPU kernels is from the exact noise of its random words, over both tails.

Every 16th of the 2^32 words, all of the last 2^20 at either end, and the words at the very ends with 2^10 second ones
each. The exact noise is computed in float64 from the distance to the nearer end of the unit interval, which float64
holds without rounding.

Run: ``python -m benchmarks.noise_accuracy``
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import numba
import numpy as np

from benchmarks import RESULTS
from drawgrad.kernels.cpu import scalar
from drawgrad.kernels.philox import EXTREME, WORD
from drawgrad.studies.records import Measurement, write

__all__ = ["main", "worst_errors"]

STEP = 16
FAR = 1 << 20
SECONDS = 1 << 10
EXPONENTS = [-65, -32, -20, -10, -4, 0]
"""Ends of the ranges of exponents, of the distance to the nearer end, that are told apart."""


@numba.njit(error_model="numpy")
def gumbel(v):
    """Standard Gumbel noise of uniform numbers."""
    return -scalar.log(scalar.exponential(v))


@numba.njit(error_model="numpy")
def _exact(distance, upper, is_gumbel):
    far, near = math.log(distance), math.log1p(-distance)
    if is_gumbel:
        return -math.log(-far if upper else -near)
    return near - far if upper else far - near


@numba.njit(error_model="numpy")
def _ulps(value, exact):
    """Distance in units in the last place of the exact value, or of one where that is smaller."""
    _, exponent = math.frexp(max(abs(exact), 1.0))
    return abs(value - exact) / 2.0 ** (exponent - 24)


def worst_errors(transform: Callable[..., Any], *, is_gumbel: bool, step: int = STEP) -> np.ndarray:
    """Largest errors, in ulp, for each binary exponent of the distance to the lower and to the upper end, (2, 66)."""

    @numba.njit(error_model="numpy")
    def noise(words, seconds, out):
        for i in range(words.size):
            v = scalar.uniform(words[i])
            if seconds.size:
                v = scalar.uniform_of_two(words[i], seconds[i])
            out[i] = transform(v)

    @numba.njit(error_model="numpy")
    def compare(words, seconds, out, worst):
        for i in range(words.size):
            upper = words[i] > WORD // 2
            part = (float(seconds[i]) + 0.5) * 2.0**-32 if seconds.size else 0.5
            distance = (float(WORD - words[i] if upper else words[i]) + part) * 2.0**-32
            error = _ulps(float(out[i]), _exact(distance, upper, is_gumbel))
            _, exponent = math.frexp(distance)
            side = 1 if upper else 0
            worst[side, -exponent] = max(worst[side, -exponent], error)

    worst = np.zeros((2, 66))

    def look(words: np.ndarray, seconds: np.ndarray) -> None:
        out = np.empty(words.size, np.float32)
        noise(words, seconds, out)
        compare(words, seconds, out, worst)

    chunk = 1 << 22
    none = np.empty(0, np.uint32)
    for start in range(0, WORD, step * chunk):
        words = np.arange(start, min(start + step * chunk, WORD + 1), step).astype(np.uint32)
        look(words, none)
    near = np.arange(EXTREME, FAR).astype(np.uint32)
    look(np.concatenate([near, WORD - near]).astype(np.uint32), none)
    ends = np.repeat(np.arange(EXTREME), SECONDS).astype(np.uint32)
    seconds = np.random.default_rng(0).integers(0, WORD, ends.size, dtype=np.uint32, endpoint=True)
    seconds[:: SECONDS // 32] >>= np.arange(seconds[:: SECONDS // 32].size, dtype=np.uint32) % 32
    look(ends, seconds)
    look((WORD - ends).astype(np.uint32), seconds)
    return worst


def measure() -> list[Measurement]:
    """Largest errors over ranges of exponents."""
    cells = []
    families = {"Gumbel": (gumbel, True), "logistic": (scalar.logistic, False)}
    for family, (transform, is_gumbel) in families.items():
        worst = worst_errors(transform, is_gumbel=is_gumbel)
        for low, high in pairwise(EXPONENTS):
            # frexp's exponent e means [2^(e - 1), 2^e).
            inside = worst[:, -high:-low]
            top = min(high, -1)
            cells.append(Measurement(f"v in [2^{low}, 2^{top}]", family, float(inside[0].max()), 0.0, "ulp", 1))
            cells.append(Measurement(f"1 - v in [2^{low}, 2^{top}]", family, float(inside[1].max()), 0.0, "ulp", 1))
    return cells


def main() -> None:
    """Measure and write the record."""
    start = time.perf_counter()
    cells = measure()
    path = write(
        "noise-accuracy",
        title="Largest error of the noise of the CPU kernels, in units in the last place of the larger of it and one",
        measurements=cells,
        spread="none: the largest of all words that were looked at",
        command="python -m benchmarks.noise_accuracy",
        seconds=time.perf_counter() - start,
        folder=RESULTS,
    )
    for cell in cells:
        print(f"{cell.case:30} {cell.quantity:10} {cell.value:8.3f} {cell.unit}")
    print(path)


if __name__ == "__main__":
    main()
