"""How long the marginals of a large subset take, with their gradient.

Run: ``python -m benchmarks.subset_speed``
"""

from __future__ import annotations

import time

import torch

from benchmarks import RESULTS
from benchmarks.sampler_speed import seconds
from drawgrad.functional import subset_marginals
from drawgrad.studies.records import Measurement, median_of, write

__all__ = ["main"]

CASES = [(64, 1000, 50), (64, 10_000, 100)]
"""Rows, classes and the size of the subset."""
CALLS = 5


def measure() -> list[Measurement]:
    """Times of forward, and of forward and backward; the first call is warm-up."""
    cells = []
    for rows, classes, k in CASES:
        logits = torch.randn(rows, classes, requires_grad=True)

        def forward(x: torch.Tensor = logits.detach(), k: int = k) -> object:  # noqa: B008
            return subset_marginals(x, k)

        def both(x: torch.Tensor = logits, k: int = k) -> object:
            return torch.autograd.grad(subset_marginals(x, k).square().sum(), x)

        case = f"{rows} rows, {k} of {classes}"
        for name, call in (("forward", forward), ("forward + backward", both)):
            call()
            cells.append(median_of(case, name, (seconds(call) for _ in range(CALLS)), "s"))
    return cells


def main() -> None:
    """Measure and write the record."""
    start = time.perf_counter()
    cells = measure()
    path = write(
        "subset-speed",
        title="Exact marginals of subsets, float32 logits",
        measurements=cells,
        spread="half the interquartile range",
        command="python -m benchmarks.subset_speed",
        seconds=time.perf_counter() - start,
        folder=RESULTS,
    )
    for cell in cells:
        print(f"{cell.case:25} {cell.quantity:20} {cell.value:10.3f} +- {cell.spread:.3f} {cell.unit}")
    print(path)


if __name__ == "__main__":
    main()
