"""How sampling scales: with threads, and where another process wants the same cores.

What one call does outside its kernels does not get faster with more threads. It is measured as the time of a call
whose table is so small that its kernel takes next to nothing, and Amdahl's law says what it leaves of 64 cores. That
is a bound: memory that the system clears for each call is shared by all of them.

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
from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from benchmarks import RESULTS
from benchmarks.sampler_speed import TURNS, turn
from drawgrad.functional import gumbel_max, gumbel_softmax
from drawgrad.studies.records import Measurement, median_of, write

__all__ = ["main"]

SHAPE, LARGE, CALLS = (256, 32000), (8192, 1024), 9
CORES = 64

NEIGHBOR = """
import sys, torch
from drawgrad.functional import gumbel_softmax
torch.set_num_threads(int(sys.argv[2]))
x = torch.randn({shape})
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
    source = NEIGHBOR.format(shape=SHAPE)
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


Sampler = Callable[[Tensor], Tensor]


def times(threads: int, sampler: Sampler, shape: tuple[int, int], calls: int = CALLS) -> list[float]:
    """Milliseconds of a call, once a turn."""
    logits = torch.randn(shape)
    torch.set_num_threads(threads)
    return [1e3 * turn(lambda: sampler(logits), calls) for _ in range(TURNS)]


def measure() -> list[Measurement]:
    """All cells of the record."""
    cores = torch.get_num_threads()
    kinds: dict[str, tuple[Sampler, tuple[int, int]]] = {
        "soft": (gumbel_softmax, SHAPE),
        "index": (gumbel_max, SHAPE),
        "soft, 32 MiB of new memory at each call": (gumbel_softmax, LARGE),
        "copy of 32 MiB, into new memory": (Tensor.clone, LARGE),
        "copy of 32 MiB, into memory in use": (torch.zeros(LARGE).copy_, LARGE),
    }
    cells, found = [], {}
    for name, kind in kinds.items():
        one, many = times(1, *kind), times(cores, *kind)
        found[name] = one, many
        cells.append(median_of(f"{name}, 1 thread", "time", one, "ms"))
        cells.append(median_of(f"{name}, {cores} threads", "time", many, "ms"))
        cells.append(median_of(f"{name}, {cores} threads", "speed-up", _ratios(one, many), "x"))
    one, many = found["soft"]
    outside = times(1, gumbel_softmax, (1, 1), 1000)
    law = [1 / (s + (1 - s) / CORES) for s in _ratios(outside, one)]
    cells.append(median_of("soft, outside the kernel", "time", outside, "ms"))
    cells.append(median_of(f"soft, {CORES} threads if nothing else is serial", "speed-up", law, "x"))
    neighbors = {
        "a neighbor that draws samples, 1 thread each": (1, ("samples", 1, "PASSIVE")),
        f"a neighbor that draws samples, {cores} threads each": (cores, ("samples", cores, "PASSIVE")),
        "a neighbor in torch's operations, waiting threads sleep": (cores, ("torch", cores, "PASSIVE")),
        "a neighbor in torch's operations, waiting threads spin": (cores, ("torch", cores, "ACTIVE")),
    }
    for case, (threads, other) in neighbors.items():
        with neighbor(*other):
            beside = times(threads, gumbel_softmax, SHAPE)
        cells.append(median_of(f"soft, {case}", "time", beside, "ms"))
        cells.append(median_of(f"soft, {case}", "speed-up", _ratios(one if threads == 1 else many, beside), "x"))
    torch.set_num_threads(cores)
    return cells


def _ratios(first: list[float], second: list[float]) -> list[float]:
    return [a / b for a, b in zip(first, second, strict=True)]


def main() -> None:
    """Measure and write the record."""
    start = time.perf_counter()
    cells = measure()
    path = write(
        "sampler-scaling",
        title="Samples of 256 x 32000 (8192 x 1024 where memory is new): threads, and neighbors on the same cores",
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
