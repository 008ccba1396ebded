"""Polynomial programming with 128 binary variables: ReinMax against straight-through, as published.

Run: ``python -m benchmarks.polynomial_programme``
"""

from __future__ import annotations

import time
from pathlib import Path

import torch

from benchmarks import RESULTS
from drawgrad.studies.exhibits.polynomial import ESTIMATORS, POWERS, RUNS, STEPS, optimum, train_polynomial
from drawgrad.studies.records import Measurement, write

__all__ = ["main"]


def main(steps: int = STEPS, runs: int = RUNS, folder: Path = RESULTS) -> Path:
    """Train with every estimator and write the record."""
    start = time.perf_counter()
    cells = []
    for name, estimator in ESTIMATORS.items():
        for power in POWERS:
            curves = train_polynomial(estimator, power, steps=steps, runs=runs)
            cells.append(Measurement(name, f"p = {power:g}", curves.final.value, curves.final.error, "", runs))
            if estimator is None:
                cells.append(Measurement("optimum", f"p = {power:g}", optimum(power), 0.0, "", 1))
    path = write(
        "polynomial-programme",
        title=f"Expected cost E|b - 0.45|^p after {steps} steps of Adam",
        measurements=cells,
        spread="standard error over runs",
        command="python -m benchmarks.polynomial_programme",
        seconds=time.perf_counter() - start,
        folder=folder,
    )
    for cell in cells:
        print(f"{cell.case:20} {cell.quantity:8} {cell.value:.6f} ± {cell.spread:.6f}")
    print(path)
    return path


if __name__ == "__main__":
    # Threads would wait for each other longer than they work.
    torch.set_num_threads(1)
    main()
