"""Speed of the samplers on the CPU, each against torch's way to the same sample.

The two sides take turns, so that whatever else the machine does falls on both; a speed-up is the median over the turns
of the ratio of their medians. The first call of a turn does not count: after a parallel operation torch's threads keep
spinning for a few milliseconds, on cores that the next call would need. Processors differ most by the width of their
vectors, by which the record is named.

Run: ``python -m benchmarks.sampler_speed``
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable

import torch
from torch import Tensor

from benchmarks import RESULTS
from drawgrad.functional import gumbel_max, gumbel_softmax
from drawgrad.studies.records import Measurement, describe_device, median_of, write

__all__ = ["main"]

SHAPES = {(8192, 1024): 3, (256, 32000): 3, (65536, 16): 10, (2000, 10): 100}
"""Rows x classes, and calls in a turn."""
TURNS = 7

Sampler = Callable[..., Tensor]


def side_by_side(
    case: str, baseline: Callable[[], object], ours: Callable[[], object], calls: int
) -> list[Measurement]:
    """Times of both and their ratio; the first turn is warm-up."""
    turns = [(turn(baseline, calls), turn(ours, calls)) for _ in range(TURNS + 1)][1:]
    return [
        median_of(case, "torch", (1e3 * b for b, _ in turns), "ms"),
        median_of(case, "drawgrad", (1e3 * o for _, o in turns), "ms"),
        median_of(case, "speed-up", (b / o for b, o in turns), "x"),
    ]


def turn(call: Callable[[], object], calls: int) -> float:
    """Median wall time of a call, in seconds."""
    call()
    return statistics.median(seconds(call) for _ in range(calls))


def seconds(call: Callable[[], object]) -> float:
    """Wall time of one call."""
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def forward_and_backward(sampler: Sampler, logits: Tensor, gradient: Tensor, hard: bool) -> Callable[[], object]:
    """A call that draws a sample and takes the gradient for its logits."""
    leaf = logits.clone().requires_grad_()
    return lambda: torch.autograd.grad(sampler(leaf, hard=hard), leaf, gradient)


def measure() -> list[Measurement]:
    """All cells of the record."""
    cells = []
    torch_sampler: Sampler = torch.nn.functional.gumbel_softmax
    for (rows, classes), calls in SHAPES.items():
        logits, gradient = torch.randn(2, rows, classes)
        name = f"{rows} x {classes}"
        cells += side_by_side(
            f"{name}, forward", lambda x=logits: torch_sampler(x), lambda x=logits: gumbel_softmax(x), calls
        )
        for hard in (False, True):
            baseline, ours = (
                forward_and_backward(sampler, logits, gradient, hard) for sampler in (torch_sampler, gumbel_softmax)
            )
            cells += side_by_side(f"{name}, forward + backward, {'hard' if hard else 'soft'}", baseline, ours, calls)
        if classes >= 1024:
            cells += side_by_side(
                f"{name}, index (largest of logits + torch's noise)",
                lambda x=logits: (x - torch.empty_like(x).exponential_().log()).argmax(-1),
                lambda x=logits: gumbel_max(x),
                calls,
            )
        if classes == 32000:
            cells += side_by_side(
                f"{name}, index (multinomial of softmax)",
                lambda x=logits: torch.multinomial(x.softmax(-1), 1),
                lambda x=logits: gumbel_max(x),
                calls,
            )
    return cells


def main() -> None:
    """Measure and write the record."""
    start = time.perf_counter()
    cells = measure()
    vectors = describe_device().rpartition(", ")[2]
    path = write(
        f"sampler-speed-{vectors.lower()}",
        title=f"Gumbel-Softmax in float32 against torch.nn.functional.gumbel_softmax, rows x classes, on {vectors}",
        measurements=cells,
        spread="half the interquartile range",
        command="python -m benchmarks.sampler_speed",
        seconds=time.perf_counter() - start,
        folder=RESULTS,
    )
    for cell in cells:
        print(f"{cell.case:45} {cell.quantity:10} {cell.value:10.3f} +- {cell.spread:.3f} {cell.unit}")
    print(path)


if __name__ == "__main__":
    main()
