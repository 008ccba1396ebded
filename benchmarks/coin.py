"""One coin with cost (b - t)^2 at t = 0.499: who finds the cheaper side within the published number of steps?

Run: ``python -m benchmarks.coin``
"""

from __future__ import annotations

import math
import time
from pathlib import Path

import torch

from benchmarks import RESULTS
from drawgrad.studies.exhibits.coin import contestants, train_coin
from drawgrad.studies.exhibits.curves import over_runs
from drawgrad.studies.records import Measurement, write

__all__ = ["main"]

TARGET = 0.499
STEPS = (5000, 10_000, 17_500)
"""Those of the published scripts and figures; 10 000 are in the paper."""
RUNS = 40


def main(steps: tuple[int, ...] = STEPS, runs: int = RUNS, folder: Path = RESULTS) -> Path:
    """Train with every estimator and write the record."""
    start = time.perf_counter()
    cells = []
    for name, contestant in contestants((1, runs)).items():
        every = math.gcd(*steps)
        curves = train_coin(contestant, (TARGET,), steps=max(steps), runs=runs, every=every)[TARGET]
        for count in steps:
            done = over_runs(curves.progress.after(count))
            cells.append(Measurement(name, f"{count} steps", done.value, done.error, "", runs))
    path = write(
        "coin",
        title=f"Progress to the optimum of E[(b - {TARGET})^2], 0 at the start and 1 at the optimum",
        measurements=cells,
        spread="standard error over runs",
        command="python -m benchmarks.coin",
        seconds=time.perf_counter() - start,
        folder=folder,
    )
    for cell in cells:
        print(f"{cell.case:20} {cell.quantity:12} {cell.value:8.4f} ± {cell.spread:.4f}")
    print(path)
    return path


if __name__ == "__main__":
    # Threads would wait for each other longer than they work.
    torch.set_num_threads(1)
    main()
