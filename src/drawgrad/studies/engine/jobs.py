"""A job: a recipe with a seed, which is done once, and leaves what it found in a folder of its own."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import hashlib
import json
import time
import traceback
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from drawgrad.studies.files import write_atomically

__all__ = ["Engine", "Found", "Job", "JobFolderError", "Listener", "Outcome", "Recipe", "Work", "attempt",
           "cause_of", "keep", "key_of", "perform"]  # fmt: skip

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
    def jobs(self) -> tuple[Job, ...]:
        """This one."""
        return (self,)

    def find(self, root: Path, listener: Listener) -> Iterator[Found]:
        """Do it; see :class:`Work`."""
        begin = time.perf_counter()
        result = self.recipe.run(self.seed, root / self.name, functools.partial(listener, self.name))
        yield self, time.perf_counter() - begin, result

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


Found = tuple[Job, float, dict[str, Any] | Exception]
"""A job that ended, the seconds that it took, and what it found, or why it found nothing."""


class Work(Protocol):
    """What a process does in one go: a job, or several of them."""

    @property
    def name(self) -> str:
        """Of the first job."""

    @property
    def jobs(self) -> tuple[Job, ...]:
        """One at least."""

    def find(self, root: Path, listener: Listener) -> Iterator[Found]:
        """Do it in this process, on one thread of the CPU.

        Args:
            root: The folder of the folders of jobs.
            listener: Told the name of a job and in a few words what is being done.

        Yields:
            How each job ended, once it has. What is raised ends all that have not ended.
        """


class Engine(Protocol):
    """Does jobs somewhere."""

    def __call__(self, work: Sequence[Work], root: Path, listener: Listener) -> Generator[Outcome, None, None]:
        """Do jobs.

        Args:
            work: Jobs with names of their own, the longest first; what goes to another process is pickled, so that
                recipes must be of a module.
            root: The folder of their folders, which are there.
            listener: Told what jobs are doing, as far as is known.

        Yields:
            How they ended, in the order in which they did. A job that fails takes no other with it. Closing the
            generator ends those that run.
        """


def key_of(settings: dict[str, Any]) -> str:
    """The key of a job with these settings."""
    return hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()[:16]


def perform(work: Work, root: Path, listener: Listener) -> Iterator[Outcome]:
    """Do jobs in this process, and leave what they found with where that comes from.

    Yields:
        How each job ended, once it has.

    Raises:
        Exception: Whatever ended all jobs that have not ended.
    """
    from drawgrad.studies.records import provenance

    with _one_thread():
        for job, seconds, found in work.find(root, listener):
            folder, seconds = root / job.name, round(seconds, 2)
            if isinstance(found, Exception):
                _log(folder, found)
                yield Outcome(job, folder, seconds, failure=cause_of(found))
                continue
            # As JSON has it, with lists for tuples, so that it is the same whenever it is read.
            result = json.loads(json.dumps(found, allow_nan=False))
            outcome = Outcome(job, folder, seconds, result, origin=vars(provenance()))
            keep(outcome)
            yield outcome


def attempt(work: Work, root: Path, listener: Listener) -> Iterator[Outcome]:
    """:func:`perform`, and what it raises as the failure of the jobs that have not ended."""
    begin, waiting = time.perf_counter(), {job.name: job for job in work.jobs}
    try:
        for outcome in perform(work, root, listener):
            del waiting[outcome.job.name]
            yield outcome
    except Exception as error:
        for job in waiting.values():
            _log(root / job.name, error)
            yield Outcome(job, root / job.name, time.perf_counter() - begin, failure=cause_of(error))


def cause_of(error: Exception) -> str:
    """An error in one line."""
    return traceback.format_exception_only(error)[-1].strip()


def _log(folder: Path, error: Exception) -> None:
    """Leave the way to an error in the folder of a job."""
    with contextlib.suppress(OSError):  # Which may be the error itself.
        write_atomically(folder / "log.txt", "".join(traceback.format_exception(error)))


def keep(outcome: Outcome) -> None:
    """Leave what a job found in its folder.

    Raises:
        OSError: If it cannot be written.
    """
    left = {"key": outcome.job.key, "seconds": outcome.seconds, "provenance": outcome.origin, "result": outcome.result}
    write_atomically(outcome.folder / "result.json", json.dumps(left, allow_nan=False) + "\n")


@contextlib.contextmanager
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
