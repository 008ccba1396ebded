"""Jobs on this machine: in this process one after the other, or side by side in processes of their own."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import os
import pickle
import queue
import signal
import subprocess
import sys
import threading
import time
import traceback
from collections.abc import Generator, Sequence
from dataclasses import dataclass
from pathlib import Path

from drawgrad.studies.engine.jobs import Job, Listener, Outcome, perform
from drawgrad.studies.files import write_atomically

__all__ = ["Local"]

WORKER = (
    "import pickle, sys; sys.path[:] = pickle.load(sys.stdin.buffer); "
    "from drawgrad.studies.engine.worker import main; main()"
)


@dataclass(frozen=True)
class Local:
    """Processes on this machine.

    However this process ends, they end with it.

    Args:
        workers: How many jobs run at a time. One runs in this process.
    """

    workers: int = 1

    def __call__(self, jobs: Sequence[Job], root: Path, listener: Listener) -> Generator[Outcome, None, None]:
        """Do jobs; see :class:`~drawgrad.studies.engine.Engine`."""
        return (
            _in_turn(jobs, root, listener) if self.workers == 1 else _side_by_side(jobs, root, self.workers, listener)
        )


def _in_turn(jobs: Sequence[Job], root: Path, listener: Listener) -> Generator[Outcome, None, None]:
    for job in jobs:
        begin = time.perf_counter()
        try:
            outcome = perform(job, root, functools.partial(listener, job.name))
        except Exception as error:
            with contextlib.suppress(OSError):  # Which may be the failure itself.
                write_atomically(root / job.name / "log.txt", traceback.format_exc())
            cause = traceback.format_exception_only(error)[-1].strip()
            outcome = Outcome(job, root / job.name, time.perf_counter() - begin, failure=cause)
        yield outcome


def _side_by_side(jobs: Sequence[Job], root: Path, workers: int, listener: Listener) -> Generator[Outcome, None, None]:
    waiting, running = list(jobs), set[_Worker]()
    # Lines of the workers; None when one has ended.
    said: queue.SimpleQueue[tuple[_Worker, str | None]] = queue.SimpleQueue()
    try:
        while waiting or running:
            while waiting and len(running) < workers:
                running.add(_Worker(waiting.pop(0), root, said))
            worker, message = said.get()
            if message is not None:
                listener(worker.job.name, message)
            else:
                running.remove(worker)
                yield worker.outcome()
    finally:
        for worker in running:
            worker.kill()


class _Worker:
    """A process that does one job.

    It is in a session of its own, because a terminal sends Ctrl-C to all processes of a session's foreground, and
    ends when its standard input does: when this process is no more, however it ended.
    """

    def __init__(self, job: Job, root: Path, said: queue.SimpleQueue[tuple[_Worker, str | None]]) -> None:
        self.job, self.root = job, root
        self.begin = time.perf_counter()
        self.log = root / job.name / "log.txt"
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-c", WORKER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log,
                start_new_session=True, env={**os.environ, "OMP_NUM_THREADS": "1"},
            )  # fmt: skip
        self.listener = threading.Thread(target=self._listen, args=(said,), daemon=True)
        self.listener.start()
        assert self.process.stdin is not None
        try:
            self.process.stdin.write(pickle.dumps(sys.path) + pickle.dumps(pickle.dumps((job, root))))
            self.process.stdin.flush()
        except BrokenPipeError:
            pass  # It has ended already, which is noticed where its output ends.

    def _listen(self, said: queue.SimpleQueue[tuple[_Worker, str | None]]) -> None:
        assert self.process.stdout is not None
        with self.process.stdout as lines:
            for line in lines:
                said.put((self, line.decode().rstrip("\n")))
        said.put((self, None))

    def outcome(self) -> Outcome:
        """How the job ended."""
        code = self.process.wait()
        self._close()
        found = self.job.earlier(self.root)
        seconds = time.perf_counter() - self.begin
        if code == 0 and found is not None:
            if self.log.stat().st_size == 0:
                self.log.unlink()
            return dataclasses.replace(found, earlier=False)
        if code < 0:
            cause = f"its process was ended by {signal.Signals(-code).name}"
            cause += ", which systems do that are short of memory" if code == -signal.SIGKILL else ""
        else:
            lines = self.log.read_text(encoding="utf-8", errors="replace").split("\n")
            cause = next((line for line in reversed(lines) if line.strip()), f"its process ended with code {code}")
        return Outcome(self.job, self.root / self.job.name, seconds, failure=cause.strip())

    def kill(self) -> None:
        """End the process at once."""
        self.process.kill()
        self.process.wait()
        self._close()

    def _close(self) -> None:
        self.listener.join()
        assert self.process.stdin is not None
        try:
            self.process.stdin.close()
        except BrokenPipeError:
            pass  # What it did not read is lost with it.
