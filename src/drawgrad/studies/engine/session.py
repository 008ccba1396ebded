"""A session: jobs are done by an engine, those that are finished excepted."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from drawgrad.studies.engine.jobs import Engine, Job, Listener, Outcome
from drawgrad.studies.engine.ledger import Ledger
from drawgrad.studies.engine.local import Local
from drawgrad.studies.engine.stacks import stacked

__all__ = ["finished", "run"]

IN_TURN = Local()


def finished(jobs: Sequence[Job], root: Path, ledger: Ledger | None = None) -> Iterator[Outcome]:
    """Those of the jobs that are finished, in their order; none is begun.

    Args:
        jobs: The jobs.
        root: The folder of their folders.
        ledger: Asked first, and told of what only the folders hold.

    Yields:
        How they ended.
    """
    for job in jobs:
        outcome = None if ledger is None else ledger.earlier(job, root)
        if outcome is None:
            outcome = job.earlier(root)
            if outcome is None:
                continue
            if ledger is not None:
                ledger.add(outcome)
        yield outcome


def run(
    jobs: Sequence[Job],
    root: Path,
    *,
    engine: Engine = IN_TURN,
    listener: Listener = lambda name, message: None,
    ledger: Ledger | None = None,
    before: Callable[[Sequence[Job]], None] = lambda jobs: None,
    stack: int = 1,
) -> Iterator[Outcome]:
    """Do jobs, those that an earlier session finished excepted.

    A job that fails takes no other with it: not with an exception, not when the system ends its process. However this
    process ends, what was being done is done again when the jobs are run again.

    Args:
        jobs: With names of their own, the longest first; what a worker gets is pickled, so that recipes must be of a
            module.
        root: The folder of their folders.
        engine: Does them; in this process one after the other, unless it is another one.
        listener: Told the name of a job and in a few words what it is doing.
        ledger: Of jobs that were finished anywhere: what it holds is not done again, and what is finished is added.
        before: Called with the jobs that are to be done, if there are any, before the first one begins.
        stack: How many jobs that differ in the seed alone are done as one program, at most; more than one asks for
            recipes that are a :class:`~drawgrad.studies.engine.StackableRecipe`.

    Yields:
        How they ended, in the order in which they did, after those that were finished already.

    Raises:
        JobFolderError: If the folder of one holds something else; then none is begun.
        OSError: If a folder cannot be written.
    """
    for job in jobs:
        if ledger is None or ledger.earlier(job, root) is None:
            job.claim(root)
    done = set[str]()
    for outcome in finished(jobs, root, ledger):
        done.add(outcome.job.name)
        yield outcome
    begun = [job for job in jobs if job.name not in done]
    if not begun:
        return
    before(begun)
    doing = engine(begun if stack == 1 else stacked(begun, stack), root, listener)
    with contextlib.closing(doing):
        for outcome in doing:
            if ledger is not None:
                ledger.add(outcome)
            yield outcome
