"""Build, check and time everything that runs on a GPU, in one call of a few minutes.

The sections run in the order of ``SECTIONS``. Each writes its record whenever a case is done, so that a run that is
stopped loses nothing; the checks come first, and nothing is timed that they refuse. Without a GPU nothing runs at all,
and no record is written.

Run: ``python -m benchmarks.gpu``; from a copy of the source that is not installed, ``PYTHONPATH=src python -m
benchmarks.gpu --commit COMMIT``.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from importlib.util import find_spec
from pathlib import Path

import torch

from benchmarks import RESULTS, ROOT
from benchmarks._clock import CudaClock
from benchmarks._gpu_cases import Bench, layers, others, samplers
from benchmarks._gpu_checks import checks, errors
from drawgrad.studies.records import Measurement, write

__all__ = ["SECTIONS", "Run", "Section", "main"]

PACKAGES = ("torch", "triton", "drawgrad")
TESTS = "tests/kernels/gpu"
NEEDED = ("pytest", "beartype", "jaxtyping", "numba")
"""Packages without which the tests cannot run; everything else here needs torch and Triton only."""
WORKERS = 8


@dataclass(frozen=True)
class Section:
    """One record: its title, and what measures its cases one after the other."""

    title: str
    measure: Callable[[Bench], Iterator[list[Measurement]]]
    spread: str = "half the interquartile range"


SECTIONS = {
    "gpu-agreement": Section(
        "Draws of the GPU against the specification on the CPU, from one seed",
        lambda bench: checks(bench.device),
        spread="counts",
    ),
    "gpu-forward": Section(
        "Gumbel-Softmax against torch.nn.functional.gumbel_softmax, rows x classes, forward; peak memory in logits",
        partial(samplers, backward=False),
    ),
    "gpu-backward": Section("The same, forward and backward", partial(samplers, backward=True)),
    "gpu-linear": Section("gumbel_max_linear against matrix product, softmax and multinomial", layers),
    "gpu-others": Section("The other samplers against a copy of the tensor, forward", others),
}


@dataclass
class Run:
    """A run on one device: what is measured goes to the screen and into records in ``folder``.

    Args:
        bench: the device and its clock.
        folder: where the records go; ``results/`` itself takes those of a GPU only.
        commit: commit of the source, if git cannot tell.
    """

    bench: Bench
    folder: Path
    commit: str | None = None
    start: float = field(default_factory=time.perf_counter)

    def __post_init__(self) -> None:
        if self.folder.resolve() == RESULTS.resolve() and self.bench.device.type != "cuda":
            raise ValueError(f"folder must not be {self.folder} for the device {self.bench.device}: name another one")
        self.folder.mkdir(parents=True, exist_ok=True)

    def section(self, name: str, section: Section) -> list[Measurement]:
        """Measure a section, print each case and write the record with all cases so far."""
        print(f"\n{section.title}")
        cells: list[Measurement] = []
        for case in section.measure(self.bench):
            cells += case
            for cell in case:
                print(
                    f"{cell.case:50} {cell.quantity:24} {cell.value:12.4g} +- {cell.spread:<9.3g} {cell.unit}",
                    flush=True,
                )
            path = write(
                name,
                title=section.title,
                measurements=cells,
                spread=section.spread,
                command="python -m benchmarks.gpu",
                seconds=time.perf_counter() - self.start,
                device=str(self.bench.device),
                packages=PACKAGES,
                commit=self.commit,
                folder=self.folder,
            )
        print(f"{path}, {time.perf_counter() - self.start:.0f} s")
        return cells


def run_tests() -> bool:
    """Run the tests that are marked ``gpu`` in a process of their own; False if one fails."""
    missing = [package for package in NEEDED if find_spec(package) is None]
    if missing:
        print(f"\npytest -m gpu: not run, without {', '.join(missing)}; the checks of this script stand alone")
        return True
    command = [sys.executable, "-m", "pytest", "-q", "-m", "gpu", TESTS]
    if find_spec("xdist") is not None:
        command += ["-n", str(WORKERS)]
    print(f"\n{' '.join(command)}", flush=True)
    return subprocess.run(command, cwd=ROOT, check=False).returncode == 0


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the sections that are asked for.

    Args:
        arguments: those of the command line if None.

    Returns:
        Exit code: 0 if every check and test passed, 1 if one failed, 2 if there is no GPU.
    """
    parser = argparse.ArgumentParser(prog="python -m benchmarks.gpu", description=__doc__.partition("\n")[0])
    parser.add_argument("--out", type=Path, default=RESULTS, help="folder of the records (default: results)")
    parser.add_argument("--only", nargs="+", choices=[*SECTIONS, "tests"], help="sections to run (default: all)")
    parser.add_argument("--commit", help="commit of the source, for a copy without its history")
    options = parser.parse_args(arguments)
    missing = _missing()
    if missing:
        print(f"benchmarks.gpu: {missing}", file=sys.stderr)
        return 2

    device = torch.device("cuda", torch.cuda.current_device())
    run = Run(Bench(device, CudaClock(device)), options.out, options.commit)
    print(f"{torch.cuda.get_device_name(device)}, torch {torch.__version__}")
    chosen = options.only or [*SECTIONS, "tests"]
    for name, section in SECTIONS.items():
        if name in chosen:
            wrong = errors(run.section(name, section))
            if wrong:
                print(f"\n{len(wrong)} checks failed, so nothing is timed: {', '.join(cell.case for cell in wrong)}")
                return 1
    return 0 if "tests" not in chosen or run_tests() else 1


def _missing() -> str | None:
    """What this machine lacks, and the cure."""
    if not torch.cuda.is_available():
        return "torch sees no CUDA device, so there is nothing to measure; run it on a machine with a GPU"
    if find_spec("triton") is None:
        return "Triton is not installed, so the kernels cannot run; install the package triton"
    return None


if __name__ == "__main__":
    sys.exit(main())
