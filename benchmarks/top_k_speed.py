"""Speed of drawing k different classes on the CPU, against torch's two ways to do it.

Run: ``python -m benchmarks.top_k_speed``
"""

from __future__ import annotations

import time

import torch

from benchmarks import RESULTS
from benchmarks.sampler_speed import turn
from drawgrad.functional import gumbel_top_k
from drawgrad.studies.records import Measurement, median_of, write

__all__ = ["main"]

SHAPES = {(8192, 1024): 3, (256, 32000): 3}
"""Rows x classes, and calls in a turn."""
K = 8
TURNS = 7


def measure() -> list[Measurement]:
    """Times of all three and what ours is faster by, turn by turn; the first turn is warm-up."""
    cells = []
    for (rows, classes), calls in SHAPES.items():
        logits = torch.randn(rows, classes)
        ways = {
            "multinomial": lambda x=logits: torch.multinomial(x.softmax(-1), K, replacement=False),
            "topk of noise": lambda x=logits: (x - torch.empty_like(x).exponential_().log_()).topk(K)[1],
            "drawgrad": lambda x=logits: gumbel_top_k(x, K),
        }
        turns = [{name: turn(call, calls) for name, call in ways.items()} for _ in range(TURNS + 1)][1:]
        case = f"{rows} x {classes}"
        cells += [median_of(case, name, (1e3 * each[name] for each in turns), "ms") for name in ways]
        cells += [
            median_of(case, f"against {name}", (each[name] / each["drawgrad"] for each in turns), "x")
            for name in ways
            if name != "drawgrad"
        ]
    return cells


def main() -> None:
    """Measure and write the record."""
    start = time.perf_counter()
    cells = measure()
    path = write(
        "top-k-speed",
        title=f"k = {K} different classes in float32, rows x classes",
        measurements=cells,
        spread="half the interquartile range",
        command="python -m benchmarks.top_k_speed",
        seconds=time.perf_counter() - start,
        folder=RESULTS,
    )
    for cell in cells:
        print(f"{cell.case:15} {cell.quantity:25} {cell.value:10.3f} +- {cell.spread:.3f} {cell.unit}")
    print(path)


if __name__ == "__main__":
    main()
