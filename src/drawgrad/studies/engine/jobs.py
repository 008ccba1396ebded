"""A job: a recipe with a seed, which is done once, and leaves what it found in a folder of its own."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from drawgrad.studies.files import write_atomically

__all__ = ["Engine", "Job", "JobFolderError", "Listener", "Outcome", "Recipe", "keep", "key_of", "perform"]

Listener = Callable[[str, str], None]
"""Told the name of a job and in a few words what it is doing."""


class Recipe(Protocol):
    """What is done: a frozen dataclass whose fields, numbers and words that JSON knows, are all that decides.

    A field that is not compared, as `data_dir: Path | None = field(default=None, compare=False)`, does not decide.
    """

    def run(self, seed: int, folder: Path, listener: Callable[[str], None]) -> dict[str, Any]:
        """Do it, on one thread of the CPU.

        Args:
            seed: Of all randomness.
            folder: Of the job, for what it keeps from one session to the next.
            listener: Told in a few words what is being done.

        Returns:
            What was found, as JSON knows it, without infinities.
        """


class JobFolderError(Exception):
    """A folder holds something else than the job that it is wanted for."""


@dataclass(frozen=True)
class Outcome:
    """How a job ended.

    Args:
        job: The job.
        folder: Its folder.
        seconds: What it took.
        result: What the recipe found; None if it failed.
        failure: Why it failed, in one line; None if it did not.
        earlier: Whether it was finished in an earlier session.
        recorded: Whether a ledger says so, and not its folder.
        origin: Where the result comes from, the fields of a :class:`~drawgrad.studies.records.Provenance`.
    """

    job: Job
    folder: Path
    seconds: float
    result: dict[str, Any] | None = None
    failure: str | None = None
    earlier: bool = False
    recorded: bool = False
    origin: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Job:
    """A recipe with a seed.

    Args:
        name: Of its folder, below the folder of all jobs.
        recipe: What is done.
        seed: Of all its randomness.
    """

    name: str
    recipe: Recipe
    seed: int

    def settings(self) -> dict[str, Any]:
        """All that decides on the result."""
        from drawgrad.studies.records import NUMERICS

        recipe: Any = self.recipe
        fields = {field.name: getattr(recipe, field.name) for field in dataclasses.fields(recipe) if field.compare}
        return {"recipe": type(recipe).__name__, "seed": self.seed, **fields, "numerics": NUMERICS}

    @property
    def key(self) -> str:
        """The same for the same settings, in every process and on every machine."""
        return key_of(self.settings())

    def claim(self, root: Path) -> None:
        """Make the folder, and note in it whose it is.

        Raises:
            JobFolderError: If it holds another job, or anything that is not of a job.
        """
        folder = root / self.name
        note = folder / "job.json"
        if not note.exists() and folder.is_dir() and any(path.suffix != ".part" for path in folder.iterdir()):
            # Parts are what is left of a note whose writing was interrupted.
            raise JobFolderError(f"{folder} holds files that are not of this program")
        if note.exists():
            there = _read(note)
            if there is None:
                raise JobFolderError(f"{note} cannot be read")
            if there.get("key") != self.key:
                theirs, ours = there.get("settings", {}), json.loads(json.dumps(self.settings()))
                names = [name for name in {**theirs, **ours} if theirs.get(name) != ours.get(name)]
                found = ", ".join(f"{name} {theirs.get(name)}" for name in names)
                wanted = ", ".join(f"{name} {ours.get(name)}" for name in names)
                raise JobFolderError(f"{folder} holds the results of {found}, not of {wanted}")
        else:
            folder.mkdir(parents=True, exist_ok=True)
            text = json.dumps({"key": self.key, "settings": self.settings()}, indent=2)
            write_atomically(note, text + "\n")

    def earlier(self, root: Path) -> Outcome | None:
        """How it ended in an earlier session; None if it did not, or if what it left is damaged."""
        folder = root / self.name
        found = _read(folder / "result.json")
        if found is None or found.get("key") != self.key or not {"seconds", "result", "provenance"} <= found.keys():
            return None
        return Outcome(self, folder, found["seconds"], found["result"], earlier=True, origin=found["provenance"])


class Engine(Protocol):
    """Does jobs somewhere."""

    def __call__(self, jobs: Sequence[Job], root: Path, listener: Listener) -> Generator[Outcome, None, None]:
        """Do jobs.

        Args:
            jobs: With names of their own, the longest first; what goes to another process is pickled, so that recipes
                must be of a module.
            root: The folder of their folders, which are there.
            listener: Told what jobs are doing, as far as is known.

        Yields:
            How they ended, in the order in which they did. A job that fails takes no other with it. Closing the
            generator ends those that run.
        """


def key_of(settings: dict[str, Any]) -> str:
    """The key of a job with these settings."""
    return hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()[:16]


def perform(job: Job, root: Path, listener: Callable[[str], None]) -> Outcome:
    """Do a job in this process, and leave what it found with where that comes from."""
    from drawgrad.studies.records import provenance

    folder = root / job.name
    begin = time.perf_counter()
    with _one_thread():
        result = job.recipe.run(job.seed, folder, listener)
        seconds = round(time.perf_counter() - begin, 2)
        origin = vars(provenance())
    # As JSON has it, with lists for tuples, so that it is the same whenever it is read.
    outcome = Outcome(job, folder, seconds, json.loads(json.dumps(result, allow_nan=False)), origin=origin)
    keep(outcome)
    return outcome


def keep(outcome: Outcome) -> None:
    """Leave what a job found in its folder.

    Raises:
        OSError: If it cannot be written.
    """
    left = {"key": outcome.job.key, "seconds": outcome.seconds, "provenance": outcome.origin, "result": outcome.result}
    write_atomically(outcome.folder / "result.json", json.dumps(left, allow_nan=False) + "\n")


@contextmanager
def _one_thread() -> Iterator[None]:
    """Jobs run side by side, and threads that wait for each other cost small tensors more than they do."""
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def _read(path: Path) -> dict[str, Any] | None:
    """The object in a file; None if there is no file, or if it is damaged."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        return None
    return found if isinstance(found, dict) else None
