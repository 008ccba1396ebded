"""Jobs on this machine: in this process one after the other, or side by side in processes of their own."""

from __future__ import annotations

import dataclasses
import json
import os
import pickle
import queue
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from drawgrad.studies.engine.jobs import Listener, Outcome, Work, attempt

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

    def __call__(self, work: Sequence[Work], root: Path, listener: Listener) -> Generator[Outcome, None, None]:
        """Do jobs; see :class:`~drawgrad.studies.engine.Engine`."""
        return (
            _in_turn(work, root, listener) if self.workers == 1 else _side_by_side(work, root, self.workers, listener)
        )


def _in_turn(work: Sequence[Work], root: Path, listener: Listener) -> Generator[Outcome, None, None]:
    for each in work:
        yield from attempt(each, root, listener)


def _side_by_side(work: Sequence[Work], root: Path, workers: int, listener: Listener) -> Generator[Outcome, None, None]:
    waiting, running = list(work), set[_Worker]()
    # Lines of the workers; None when one has ended.
    said: queue.SimpleQueue[tuple[_Worker, str | None]] = queue.SimpleQueue()
    try:
        while waiting or running:
            while waiting and len(running) < workers:
                running.add(_Worker(waiting.pop(0), root, said))
            worker, line = said.get()
            if line is not None:
                name, message, failure = json.loads(line)
                if failure is None:
                    listener(name, message)
                else:
                    worker.failures[name] = failure
            else:
                running.remove(worker)
                yield from worker.outcomes()
    finally:
        for worker in running:
            worker.kill()


class _Worker:
    """A process that does work.

    It is in a session of its own, because a terminal sends Ctrl-C to all processes of a session's foreground, and
    ends when its standard input does: when this process is no more, however it ended.
    """

    def __init__(self, work: Work, root: Path, said: queue.SimpleQueue[tuple[_Worker, str | None]]) -> None:
        self.work, self.root = work, root
        self.failures: dict[str, str] = {}
        self.begin = time.perf_counter()
        self.log = root / work.name / "log.txt"
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-c", WORKER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log,
                start_new_session=True, env={**os.environ, "OMP_NUM_THREADS": "1"},
            )  # fmt: skip
        self.listener = threading.Thread(target=self._listen, args=(said,), daemon=True)
        self.listener.start()
        assert self.process.stdin is not None
        try:
            self.process.stdin.write(pickle.dumps(sys.path) + pickle.dumps(pickle.dumps((work, root))))
            self.process.stdin.flush()
        except BrokenPipeError:
            pass  # It has ended already, which is noticed where its output ends.

    def _listen(self, said: queue.SimpleQueue[tuple[_Worker, str | None]]) -> None:
        assert self.process.stdout is not None
        with self.process.stdout as lines:
            for line in lines:
                said.put((self, line.decode().rstrip("\n")))
        said.put((self, None))

    def outcomes(self) -> Iterator[Outcome]:
        """How the jobs ended."""
        code = self.process.wait()
        self._close()
        seconds = time.perf_counter() - self.begin
        cause = self._cause(code)
        for job in self.work.jobs:
            found = job.earlier(self.root)
            if found is not None:
                yield dataclasses.replace(found, earlier=False)
            else:
                failure = self.failures.get(job.name, cause)
                yield Outcome(job, self.root / job.name, seconds, failure=failure)
        if code == 0 and self.log.stat().st_size == 0:
            self.log.unlink()

    def _cause(self, code: int) -> str:
        """Why a process did not do all that it was given."""
        if code < 0:
            cause = f"its process was ended by {signal.Signals(-code).name}"
            return cause + (", which systems do that are short of memory" if code == -signal.SIGKILL else "")
        lines = self.log.read_text(encoding="utf-8", errors="replace").split("\n")
        return next((line for line in reversed(lines) if line.strip()), f"its process ended with code {code}").strip()

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
