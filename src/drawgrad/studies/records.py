"""Records of measurements: what was found, how sure it is, and under which circumstances.

`results/README.md` in the repository describes the files. README and docs quote numbers from them and from nowhere
else.
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
from importlib.metadata import PackageNotFoundError, distribution, version
from pathlib import Path
from typing import Any

import torch

from drawgrad._tables import with_spread
from drawgrad.studies.files import write_atomically

__all__ = ["NUMERICS", "Measurement", "Provenance", "Record", "describe_device", "mean_of", "median_of", "number",
           "provenance", "read", "tabulated", "together", "write"]  # fmt: skip

NUMERICS = 2
"""Counts the states of the package between which the same settings and seed give other numbers: one more with every
entry below "Numerics" in the changelog that moves what a study measures."""
PACKAGES = ("torch", "numba", "drawgrad")
MEASURED = ("src", "benchmarks", "examples")
"""Folders whose changes make a run another one than its commit says."""


@dataclass(frozen=True)
class Measurement:
    """One number, a cell of the table that is rendered: cases are its rows, quantities its columns.

    Args:
        case: What was measured, `"8192 x 1024"`.
        quantity: Which of its numbers this is, `"drawgrad, forward"`.
        value: The number.
        spread: Its uncertainty, in the same unit; the record says of which kind. 0 for a number that does not vary.
        unit: `"ms"`, `"x"` for a ratio, `"nats"`, `""` for a count.
        samples: How many repetitions or seeds it summarizes.
    """

    case: str
    quantity: str
    value: float
    spread: float
    unit: str
    samples: int


@dataclass(frozen=True, kw_only=True)
class Provenance:
    """Where numbers come from.

    Args:
        date: The day, in UTC.
        commit: Of the source that ran; `unknown` if nothing tells.
        clean: Whether the source was that of the commit.
        device: The hardware in words.
        threads: torch's threads on the CPU.
        versions: Of Python and the packages that matter.
    """

    date: str
    commit: str
    clean: bool
    device: str
    threads: int
    versions: dict[str, str]


@dataclass(frozen=True, kw_only=True)
class Record(Provenance):
    """A file of `results/`: measurements that belong together, and where they come from."""

    name: str
    title: str
    measurements: tuple[Measurement, ...]
    spread: str
    command: str
    seconds: float


def median_of(case: str, quantity: str, values: Iterable[float], unit: str) -> Measurement:
    """Summarize repetitions by their median and half their interquartile range.

    Args:
        case: See :class:`Measurement`.
        quantity: See :class:`Measurement`.
        values: At least two repetitions.
        unit: See :class:`Measurement`.
    """
    repeated = list(values)
    lower, median, upper = statistics.quantiles(repeated, n=4, method="inclusive")
    return Measurement(case, quantity, median, (upper - lower) / 2, unit, len(repeated))


def mean_of(case: str, quantity: str, values: Iterable[float], unit: str = "") -> Measurement:
    """Summarize seeds by their mean and its standard error, which is 0 as long as there is one alone.

    Args:
        case: See :class:`Measurement`.
        quantity: See :class:`Measurement`.
        values: One of each seed.
        unit: See :class:`Measurement`.
    """
    repeated = list(values)
    error = statistics.stdev(repeated) / len(repeated) ** 0.5 if len(repeated) > 1 else 0.0
    return Measurement(case, quantity, statistics.fmean(repeated), error, unit, len(repeated))


def number(cell: Measurement) -> str:
    """A value with its spread, to the digits that the spread leaves certain."""
    unit = {"": "", "x": "×", "%": " %"}.get(cell.unit, f" {cell.unit}")
    text = f"{cell.value:.4g}" if cell.spread == 0 else with_spread(cell.value, cell.spread)
    return f"{text}{unit}"


def tabulated(measurements: Sequence[Measurement]) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
    """Headings and rows of a table: one row for each case, one column for each quantity after that of the cases."""
    quantities = dict.fromkeys(cell.quantity for cell in measurements)
    cells = {(cell.case, cell.quantity): number(cell) for cell in measurements}
    cases = dict.fromkeys(cell.case for cell in measurements)
    return ("", *quantities), [(case, *(cells.get((case, each), "") for each in quantities)) for case in cases]


def provenance(*, device: str = "cpu", packages: Sequence[str] = PACKAGES, commit: str | None = None) -> Provenance:
    """Where the numbers come from that this process measures.

    Args:
        device: The torch device that is measured.
        packages: Whose versions matter.
        commit: The commit of the source, for a copy of it without its history. If None, git is asked, where the source
            is part of a repository, or what the installer noted of the commit that it installed.
    """
    known, clean = (commit, True) if commit is not None else _source()
    return Provenance(
        date=datetime.datetime.now(datetime.UTC).date().isoformat(),
        commit=known or "unknown",
        clean=clean,
        device=describe_device(device),
        threads=torch.get_num_threads(),
        versions={"python": platform.python_version(), **{package: _version(package) for package in packages}},
    )


def together(origins: Iterable[Provenance]) -> Provenance:
    """Where numbers come from that several runs measured: the last day, and all there is to say of each.

    Args:
        origins: Of each run, one at least.
    """
    every = list(origins)

    def joined(words: Iterable[str]) -> str:
        return ", ".join(dict.fromkeys(words))

    return Provenance(
        date=max(origin.date for origin in every),
        commit=joined(origin.commit for origin in every),
        clean=all(origin.clean for origin in every),
        device=joined(origin.device for origin in every),
        threads=max(origin.threads for origin in every),
        versions={name: joined(origin.versions[name] for origin in every if name in origin.versions)
                  for name in dict.fromkeys(name for origin in every for name in origin.versions)},
    )  # fmt: skip


def write(
    name: str,
    title: str,
    measurements: Sequence[Measurement],
    *,
    spread: str,
    command: str,
    seconds: float,
    folder: Path,
    device: str = "cpu",
    packages: Sequence[str] = PACKAGES,
    commit: str | None = None,
    origin: Provenance | None = None,
) -> Path:
    """Write `<name>.json` into a folder, with the provenance of this run, or of those that measured.

    A file of that name is replaced in one step: whoever reads it, or is stopped, finds the old one or the new one.

    Args:
        name: The file's name without its ending, lower case with hyphens.
        title: One line above the table.
        measurements: At least one; a case and quantity occur together once.
        spread: What the spreads are: `"half the interquartile range"`, `"standard error over seeds"`.
        command: The command line that repeats the run.
        seconds: Wall time of the run.
        folder: Where the file goes.
        device: See :func:`provenance`.
        packages: See :func:`provenance`.
        commit: See :func:`provenance`.
        origin: Where the numbers come from, if other runs than this one measured them.

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
        **vars(origin or provenance(device=device, packages=packages, commit=commit)),
    )
    _check(record)
    path = folder / f"{name}.json"
    write_atomically(path, json.dumps(asdict(record), indent=2, allow_nan=False) + "\n")
    return path


def read(path: Path) -> Record:
    """Read a record.

    Raises:
        ValueError: If the file is no record, has other fields, or contradicts itself; the message names the file.
    """
    try:
        fields: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        measurements = tuple(Measurement(**cell) for cell in fields.pop("measurements"))
        record = Record(measurements=measurements, **fields)
        _check(record)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
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
    """The device in words that name no particular machine: `"2 cores, AVX-512"`, `"NVIDIA H200"`."""
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


def _source() -> tuple[str | None, bool]:
    """The commit that the package's source is of, and whether nothing was changed since."""
    file = Path(__file__)
    # A package that is installed may lie inside a repository that is not its own.
    if _git(file.parent, "ls-files", "--error-unmatch", file.name) is not None:
        root = Path(_git(file.parent, "rev-parse", "--show-toplevel") or file.parent)
        changes = _git(root, "status", "--porcelain", "--untracked-files=no", "--", *MEASURED)
        return _git(root, "rev-parse", "--short=10", "HEAD"), changes == ""
    try:
        # What the installer noted: https://packaging.python.org/en/latest/specifications/direct-url/
        installed = distribution("drawgrad")
        noted = json.loads(installed.read_text("direct_url.json") or "{}")
    except (PackageNotFoundError, ValueError):
        return None, False
    commit = noted.get("vcs_info", {}).get("commit_id")
    # A copy of the source on the path may be another one.
    if commit is None or Path(str(installed.locate_file("drawgrad"))).resolve() not in file.resolve().parents:
        return None, False
    return commit[:10], True


def _git(folder: Path, *arguments: str) -> str | None:
    """What git answers; None where there is no git, or no history to ask it about."""
    try:
        run = subprocess.run(["git", *arguments], cwd=folder, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return None
    return run.stdout.strip()


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"
