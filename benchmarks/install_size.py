"""What does each extra add to an installation: how many packages, how much on disk, and how long an import?

Looks at the environment that it runs in, which has to hold the extras (that of ``make test`` does); nothing is
installed. What an extra adds is what it needs and the package without extras does not need.

Run: ``python -m benchmarks.install_size``
"""

from __future__ import annotations

import subprocess
import sys
import time
import tomllib
from collections.abc import Iterable
from importlib.metadata import PackageNotFoundError, distribution

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from benchmarks import RESULTS, ROOT
from drawgrad.studies.records import Measurement, median_of, write

__all__ = ["added", "main", "needed", "seconds", "size"]

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
SOURCE = ROOT / "src" / "drawgrad"
REPEATS = 3
IMPORTS = {
    "matching": "from scipy.optimize import linear_sum_assignment",
    "study": "import click, matplotlib.figure, pooch, rich.console, sklearn.datasets, tensorboard.summary",
    "ortools": "from ortools.sat.python import cp_model",
    "ray": "import ray",
    "pyro": "from drawgrad.integrations import relax",
    "lightning": "from drawgrad.integrations import LightningTemperature",
    "transformers": "from drawgrad.integrations import TrainerTemperature",
    "docs": "import sphinx.application, furo, myst_parser, latex2mathml.converter",
}
"""What is imported of an extra by the code that uses it. The extras of the tests are not measured."""


def needed(requirements: Iterable[str], found: set[tuple[str, str]] | None = None) -> set[str]:
    """The packages that requirements bring, with all that those need here.

    Args:
        requirements: as `pyproject.toml` writes them. The package's own extras are looked up there.
        found: names with extras that are done with.

    Raises:
        PackageNotFoundError: if one of them is not installed.
    """
    found = set() if found is None else found
    for text in requirements:
        wanted = Requirement(text)
        name = canonicalize_name(wanted.name)
        for extra in ("", *wanted.extras):
            if (name, extra) in found or (wanted.marker is not None and not wanted.marker.evaluate({"extra": ""})):
                continue
            found.add((name, extra))
            needed(_of(name, extra), found)
    return {name for name, _ in found} - {PROJECT["name"]}


def _of(name: str, extra: str) -> list[str]:
    """The requirements of a package, or of one of its extras."""
    if name == PROJECT["name"]:
        return PROJECT["optional-dependencies"][extra] if extra else PROJECT["dependencies"]
    each = [(text, Requirement(text).marker) for text in distribution(name).requires or []]
    # Those of the extra alone: the others are asked for without it.
    return [
        text.partition(";")[0]
        for text, marker in each
        if (marker is None and not extra)
        or (marker is not None and marker.evaluate({"extra": extra}) and not (extra and marker.evaluate({"extra": ""})))
    ]


def size(name: str) -> int:
    """Bytes on disk of an installed package.

    Raises:
        PackageNotFoundError: if it is not installed.
    """
    files = [file.locate() for file in distribution(name).files or []]
    return sum(file.stat().st_size for file in files if file.is_file())


def added(extra: str) -> set[str]:
    """The packages that an extra brings beside those that come without one."""
    return needed([f"{PROJECT['name']}[{extra}]"]) - needed([PROJECT["name"]])


def seconds(statement: str, before: str) -> float:
    """Seconds of processor time that an import takes in a fresh process, after another one."""
    program = f"import time; {before}; begin = time.process_time(); {statement}; print(time.process_time() - begin)"
    return float(subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout)


def row(case: str, packages: set[str], own: int, statement: str, before: str) -> list[Measurement]:
    """What packages and an import take."""
    seconds(statement, before)  # the first one may compile sources
    taken = [seconds(statement, before) for _ in range(REPEATS)]
    return [
        Measurement(case, "packages", len(packages), 0.0, "", 1),
        Measurement(case, "on disk", round((sum(map(size, packages)) + own) / 1e6, 1), 0.0, "MB", 1),
        median_of(case, "import", taken, "s"),
    ]


def main() -> None:
    """Measure and write the record."""
    begin = time.perf_counter()
    torch, all_ours = needed(["torch"]), needed([PROJECT["name"]])
    own = sum(file.stat().st_size for file in SOURCE.rglob("*") if file.is_file() and file.suffix != ".pyc")
    cells = row("torch, for CPUs", torch, 0, "import torch", "pass")
    cells += row("drawgrad, beside torch", all_ours - torch, own, "import drawgrad", "import torch")
    for extra, statement in IMPORTS.items():
        try:
            cells += row(f"{PROJECT['name']}[{extra}]", added(extra), 0, statement, "import torch, drawgrad")
        except PackageNotFoundError as missing:
            print(f"{extra} is left out, for {missing.name} is not installed", file=sys.stderr)
    path = write(
        "install-size",
        title="What an installation holds, and what each extra adds to it; times are those of the processor",
        measurements=cells,
        spread="half the interquartile range",
        command="python -m benchmarks.install_size",
        seconds=time.perf_counter() - begin,
        folder=RESULTS,
    )
    for cell in cells:
        print(f"{cell.case:28} {cell.quantity:10} {cell.value:10.3f} +- {cell.spread:.3f} {cell.unit}")
    print(path)


if __name__ == "__main__":
    main()
