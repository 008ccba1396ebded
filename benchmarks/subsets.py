"""Three of ten vectors: how far are the gradients of estimators of subsets from the exact one?

Run: ``python -m benchmarks.subsets``
"""

from __future__ import annotations

import time
from pathlib import Path

import torch

from benchmarks import RESULTS
from drawgrad.studies.exhibits.k_subset import AVERAGED, SETS, measure
from drawgrad.studies.records import Measurement, write

__all__ = ["main"]

COUNTS = (2, 8, 64)
"""Evaluations of the cost."""
DRAWS = 20_000


def main(counts: tuple[int, ...] = COUNTS, draws: int = DRAWS, folder: Path = RESULTS) -> Path:
    """Measure every estimator at its best setting and write the record."""
    start = time.perf_counter()
    found = measure(0, draws, counts)
    cells = []
    for name in (*AVERAGED, *SETS):
        for count in counts:
            _, error, _ = found.error(name, count)
            samples = draws if name in AVERAGED else draws // 4
            cells.append(Measurement(name, f"{count} evaluations", error.value, error.error, "", samples))
    path = write(
        "subsets",
        title="Squared error of the gradient over its squared length, 3 of 10 vectors, each at its best setting",
        measurements=cells,
        spread="standard error",
        command="python -m benchmarks.subsets",
        seconds=time.perf_counter() - start,
        folder=folder,
    )
    print(path)
    return path


if __name__ == "__main__":
    # Threads would wait for each other longer than they work.
    torch.set_num_threads(1)
    main()
