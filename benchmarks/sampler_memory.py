"""Peak memory of a sample and its gradient, in units of the logits.

Each case runs in a process of its own, and what counts is the largest resident set that the system saw beyond what was
there before: everything that was allocated, by whomever. Linux only.

Run: ``python -m benchmarks.sampler_memory``
"""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import torch

from benchmarks import RESULTS
from drawgrad.functional import gumbel_softmax
from drawgrad.studies.records import Measurement, write

__all__ = ["main", "peak"]

ROWS, CLASSES = 16384, 4096
SAMPLERS = {"torch": torch.nn.functional.gumbel_softmax, "drawgrad": gumbel_softmax}


def peak(sampler: str, hard: bool) -> float:
    """Peak of forward + backward in this process, over the size of the logits."""
    sample = SAMPLERS[sampler]
    small = torch.zeros(64, CLASSES, requires_grad=True)
    torch.autograd.grad(sample(small, hard=hard), small, torch.ones_like(small))  # compilation, thread stacks
    logits = torch.randn(ROWS, CLASSES, requires_grad=True)
    gradient = torch.randn(ROWS, CLASSES)
    Path("/proc/self/clear_refs").write_text("5")  # peak := present
    before = resident("VmRSS")
    torch.autograd.grad(sample(logits, hard=hard), logits, gradient)
    return (resident("VmHWM") - before) / (logits.numel() * logits.element_size())


def resident(field: str) -> int:
    """A figure of the process, in bytes."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(field):
            return int(line.split()[1]) * 1024
    raise RuntimeError(f"the system does not report {field}")


def main() -> None:
    """Measure every case in a new process and write the record."""
    start = time.perf_counter()
    cells = []
    for hard in (False, True):
        for sampler in SAMPLERS:
            call = f"from benchmarks.sampler_memory import peak; print(peak({sampler!r}, {hard}))"
            value = float(subprocess.run([sys.executable, "-c", call], check=True, capture_output=True).stdout)
            cells.append(Measurement("hard" if hard else "soft", sampler, value, 0.0, "x", 1))
    path = write(
        "sampler-memory",
        title=f"Peak memory of forward + backward over the size of the logits, {ROWS} x {CLASSES}, float32",
        measurements=cells,
        spread="a single run",
        command="python -m benchmarks.sampler_memory",
        seconds=time.perf_counter() - start,
        folder=RESULTS,
    )
    for cell in cells:
        print(f"{cell.case:6} {cell.quantity:10} {cell.value:6.3f} {cell.unit}")
    print(path)


if __name__ == "__main__":
    main()
