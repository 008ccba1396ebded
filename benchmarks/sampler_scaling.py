"""How sampling scales: with threads, and where another process wants the same cores.

What one call does outside its kernels does not get faster with more threads. It is measured as the time of a call
whose table is so small that its kernel takes next to nothing, and Amdahl's law says what it leaves of 64 cores.

The neighbors are processes that draw samples like this one, or that run one of torch's parallel operations, whose
OpenMP threads spin while they wait unless ``OMP_WAIT_POLICY=PASSIVE`` is set.

Run: ``python -m benchmarks.sampler_scaling``
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import time
from collections.abc import Iterator

import torch

from benchmarks import RESULTS
from benchmarks.sampler_speed import TURNS, turn
from drawgrad.functional import gumbel_softmax
from drawgrad.studies.records import Measurement, median_of, write

__all__ = ["main"]

ROWS, CLASSES, CALLS = 8192, 1024, 3
CORES = 64

NEIGHBOR = """
import sys, torch
from drawgrad.functional import gumbel_softmax
torch.set_num_threads(int(sys.argv[2]))
x = torch.randn({rows}, {classes})
y = torch.randn(64, 4096)
work = {{"samples": lambda: gumbel_softmax(x), "torch": lambda: y.exp()}}[sys.argv[1]]
work()
print("ready", flush=True)
while True:
    work()
"""


@contextlib.contextmanager
def neighbor(work: str, threads: int, policy: str) -> Iterator[None]:
    """Another process that works without a pause."""
    environment = {**os.environ, "OMP_WAIT_POLICY": policy, "OMP_NUM_THREADS": str(threads)}
    source = NEIGHBOR.format(rows=ROWS, classes=CLASSES)
    process = subprocess.Popen(
        [sys.executable, "-c", source, work, str(threads)], env=environment, stdout=subprocess.PIPE
    )
    try:
        assert process.stdout is not None
        process.stdout.readline()
        yield
    finally:
        process.kill()
        process.wait()


def times(threads: int, rows: int = ROWS, calls: int = CALLS) -> list[float]:
    """Milliseconds of a call, once a turn."""
    logits = torch.randn(rows, CLASSES if rows > 1 else 1)
    torch.set_num_threads(threads)
    return [1e3 * turn(lambda: gumbel_softmax(logits), calls) for _ in range(TURNS)]


def measure() -> list[Measurement]:
    """All cells of the record."""
    cores = torch.get_num_threads()
    one, many, outside = times(1), times(cores), times(1, rows=1, calls=1000)
    shares = [o / t for o, t in zip(outside, one, strict=True)]
    cells = [
        median_of("1 thread", "time", one, "ms"),
        median_of(f"{cores} threads", "time", many, "ms"),
        median_of(f"{cores} threads", "speed-up", (a / b for a, b in zip(one, many, strict=True)), "x"),
        median_of("outside the kernel", "time", outside, "ms"),
        median_of(f"{CORES} threads, by Amdahl's law", "speed-up", (1 / (s + (1 - s) / CORES) for s in shares), "x"),
    ]
    neighbors = {
        "a neighbor that draws samples, 1 thread each": (1, ("samples", 1, "PASSIVE")),
        f"a neighbor that draws samples, {cores} threads each": (cores, ("samples", cores, "PASSIVE")),
        "a neighbor in torch's operations, waiting threads sleep": (cores, ("torch", cores, "PASSIVE")),
        "a neighbor in torch's operations, waiting threads spin": (cores, ("torch", cores, "ACTIVE")),
    }
    for case, (threads, other) in neighbors.items():
        with neighbor(*other):
            beside = times(threads)
        alone = one if threads == 1 else many
        cells.append(median_of(case, "time", beside, "ms"))
        cells.append(median_of(case, "speed-up", (a / b for a, b in zip(alone, beside, strict=True)), "x"))
    torch.set_num_threads(cores)
    return cells


def main() -> None:
    """Measure and write the record."""
    start = time.perf_counter()
    cells = measure()
    path = write(
        "sampler-scaling",
        title=f"A soft sample of {ROWS} x {CLASSES}: threads, and neighbors on the same cores",
        measurements=cells,
        spread="half the interquartile range",
        command="python -m benchmarks.sampler_scaling",
        seconds=time.perf_counter() - start,
        folder=RESULTS,
    )
    for cell in cells:
        print(f"{cell.case:60} {cell.quantity:10} {cell.value:8.3f} +- {cell.spread:.3f} {cell.unit}")
    print(path)


if __name__ == "__main__":
    main()
