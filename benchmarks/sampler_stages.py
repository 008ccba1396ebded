"""Where the time of a soft sample goes: the steps of the kernel for rows of many classes, one by one, in one thread.

Each step is compiled alone and runs over the same rows, which stay in the second-level cache, so what memory costs
is left out. Times are scaled to a table of 8192 x 1024.

Run: ``python -m benchmarks.sampler_stages``
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from benchmarks import RESULTS
from drawgrad.kernels.cpu import scalar, wide
from drawgrad.kernels.cpu.jit import kernel
from drawgrad.kernels.philox import GUMBEL_STREAM
from drawgrad.studies.records import Measurement, median_of, write

__all__ = ["main"]

ELEMENTS = 8192 * 1024
ROWS, CALLS, TURNS = 32, 40, 9
ONE = np.float32(1)


@kernel
def _words(logits, out, scratch):
    for i in range(out.shape[0]):
        wide.draw_words(scratch, 5, i, 0, out.shape[1], GUMBEL_STREAM)


@kernel
def _words_and_exponential(logits, out, scratch):
    for i in range(out.shape[0]):
        wide.draw(out[i], scratch, 5, i, 0, GUMBEL_STREAM, scalar.exponential)


@kernel
def _scores(logits, out, scratch):
    for i in range(out.shape[0]):
        wide.gumbel_scores(logits[i], out[i], scratch, 5, i, 0)


@kernel
def _scores_and_weights(logits, out, scratch):
    for i in range(out.shape[0]):
        top = wide.gumbel_scores(logits[i], out[i], scratch, 5, i, 0)
        wide.exponentiate(out[i], top, ONE)


@kernel
def _all(logits, out, scratch):
    for i in range(out.shape[0]):
        row = out[i]
        top = wide.gumbel_scores(logits[i], row, scratch, 5, i, 0)
        scale = wide.reciprocal(wide.exponentiate(row, top, ONE))
        for j in range(row.shape[0]):
            row[j] *= scale


STEPS: dict[str, Callable[..., Any]] = {
    "random words": _words,
    "first logarithm": _words_and_exponential,
    "second logarithm, sum with the logits, maximum": _scores,
    "exponential, sum": _scores_and_weights,
    "normalization": _all,
}
"""What each step adds, and the kernel of all steps up to it."""


def seconds(step: Callable[..., Any], *arguments: Any) -> float:
    """Time of a step over as many elements as the table has, from the median of calls."""
    step(*arguments)
    times = []
    for _ in range(CALLS):
        start = time.perf_counter()
        step(*arguments)
        times.append(time.perf_counter() - start)
    return statistics.median(times) * ELEMENTS / arguments[1].size


def measure() -> list[Measurement]:
    """What each step takes beyond those before it."""
    logits = np.random.default_rng(0).standard_normal((ROWS, wide.CHUNK), np.float32)
    arguments = (logits, np.empty_like(logits), np.empty(wide.CHUNK // 2 + 4, np.uint64))
    turns = [[1e3 * seconds(step, *arguments) for step in STEPS.values()] for _ in range(TURNS + 1)][1:]
    cells = []
    for at, name in enumerate(STEPS):
        cells.append(median_of(name, "time", (turn[at] - (turn[at - 1] if at else 0.0) for turn in turns), "ms"))
    return [*cells, median_of("all", "time", (turn[-1] for turn in turns), "ms")]


def main() -> None:
    """Measure and write the record."""
    start = time.perf_counter()
    cells = measure()
    path = write(
        "sampler-stages",
        title="Steps of a soft sample of 8192 x 1024 in one thread, without what memory costs",
        measurements=cells,
        spread="half the interquartile range",
        command="python -m benchmarks.sampler_stages",
        seconds=time.perf_counter() - start,
        folder=RESULTS,
    )
    for cell in cells:
        print(f"{cell.case:50} {cell.value:8.3f} +- {cell.spread:.3f} {cell.unit}")
    print(path)


if __name__ == "__main__":
    main()
