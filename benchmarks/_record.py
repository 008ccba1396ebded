"""Records of measurements: what was found, how sure it is, and under which circumstances.

``results/README.md`` describes the files. README and docs quote numbers from them and from nowhere else.
"""

from __future__ import annotations

import datetime
import json
import os
import platform
import statistics
import subprocess
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import torch

__all__ = ["RESULTS", "Measurement", "Record", "describe_device", "median_of", "read", "write"]

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "results"
PACKAGES = ("torch", "numba", "drawgrad")
MEASURED = ("src", "benchmarks")
"""Folders whose changes make a run another one than its commit says."""


@dataclass(frozen=True)
class Measurement:
    """One number, a cell of the table that is rendered: cases are its rows, quantities its columns.

    Args:
        case: what was measured, ``"8192 x 1024"``.
        quantity: which of its numbers this is, ``"drawgrad, forward"``.
        value: the number.
        spread: its uncertainty, in the same unit; the record says of which kind. 0 for a number that does not vary.
        unit: ``"ms"``, ``"x"`` for a ratio, ``"nats"``, ``""`` for a count.
        samples: how many repetitions or seeds it summarizes.
    """

    case: str
    quantity: str
    value: float
    spread: float
    unit: str
    samples: int


@dataclass(frozen=True)
class Record:
    """A file of ``results/``: measurements that belong together, and the circumstances of the run that made them."""

    name: str
    title: str
    measurements: tuple[Measurement, ...]
    spread: str
    command: str
    seconds: float
    date: str
    commit: str
    clean: bool
    device: str
    threads: int
    versions: dict[str, str]


def median_of(case: str, quantity: str, values: Iterable[float], unit: str) -> Measurement:
    """Summarize repetitions by their median and half their interquartile range.

    Args:
        case: see :class:`Measurement`.
        quantity: see :class:`Measurement`.
        values: at least two repetitions.
        unit: see :class:`Measurement`.
    """
    repeated = list(values)
    lower, median, upper = statistics.quantiles(repeated, n=4, method="inclusive")
    return Measurement(case, quantity, median, (upper - lower) / 2, unit, len(repeated))


def write(
    name: str,
    title: str,
    measurements: Sequence[Measurement],
    *,
    spread: str,
    command: str,
    seconds: float,
    device: str = "cpu",
    packages: Sequence[str] = PACKAGES,
    commit: str | None = None,
    folder: Path = RESULTS,
) -> Path:
    """Write ``<name>.json`` into ``folder``, with commit, date, versions and device of this run.

    A file of that name is replaced in one step: whoever reads it, or is stopped, finds the old one or the new one.

    Args:
        name: the file's name without its ending, lower case with hyphens.
        title: one line above the table.
        measurements: at least one; a case and quantity occur together once.
        spread: what the spreads are: ``"half the interquartile range"``, ``"standard error over seeds"``.
        command: the command line that repeats the run.
        seconds: wall time of the run.
        device: torch device that was measured.
        packages: whose versions matter.
        commit: the commit of the source, for a copy of it without its history; git is asked if None.
        folder: where the file goes.

    Returns:
        Path of the file.
    """
    record = Record(
        name=name,
        title=title,
        measurements=tuple(measurements),
        spread=spread,
        command=command,
        seconds=round(seconds, 1),
        date=datetime.datetime.now(datetime.UTC).date().isoformat(),
        commit=commit or _git("rev-parse", "--short=10", "HEAD") or "unknown",
        clean=commit is not None or _git("status", "--porcelain", "--untracked-files=no", "--", *MEASURED) == "",
        device=describe_device(device),
        threads=torch.get_num_threads(),
        versions={"python": platform.python_version(), **{package: _version(package) for package in packages}},
    )
    _check(record)
    path = folder / f"{name}.json"
    part = path.with_suffix(".part")
    part.write_text(json.dumps(asdict(record), indent=2, allow_nan=False) + "\n")
    return part.replace(path)


def read(path: Path) -> Record:
    """Read a record.

    Raises:
        ValueError: if the file is no record, has other fields, or contradicts itself; the message names the file.
    """
    try:
        fields: dict[str, Any] = json.loads(path.read_text())
        measurements = tuple(Measurement(**cell) for cell in fields.pop("measurements"))
        record = Record(measurements=measurements, **fields)
        _check(record)
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(f"{path} is not a record as results/README.md describes it: {error}") from error
    if record.name != path.stem:
        raise ValueError(f"{path} calls itself {record.name!r}; the file and the record need one name")
    return record


def _check(record: Record) -> None:
    if not record.measurements:
        raise ValueError("it holds no measurement")
    cells = [(cell.case, cell.quantity) for cell in record.measurements]
    twice = {cell for cell in cells if cells.count(cell) > 1}
    if twice:
        raise ValueError(f"it measures {sorted(twice)} more than once")
    for cell in record.measurements:
        if not (cell.spread >= 0 and cell.samples >= 1):
            raise ValueError(f"spread {cell.spread} and samples {cell.samples} of {cell.case!r} make no sense")


def describe_device(device: str = "cpu") -> str:
    """The device in words that name no particular machine: ``"2 cores, AVX-512"``, ``"NVIDIA H200"``."""
    if torch.device(device).type == "cuda":
        return torch.cuda.get_device_name(device)
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return f"{cores} cores, {_vector_unit()}"


def _vector_unit() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    flags = set(cpuinfo.read_text().split()) if cpuinfo.exists() else set()
    for flag, words in (("avx512f", "AVX-512"), ("avx2", "AVX2"), ("asimd", "NEON")):
        if flag in flags:
            return words
    return platform.machine()


def _git(*arguments: str) -> str | None:
    """What git answers; None where there is no git, or no history to ask it about."""
    try:
        run = subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True, check=True)
    except (FileNotFoundError, subprocess.CalledProcessError):
        return None
    return run.stdout.strip()


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"
