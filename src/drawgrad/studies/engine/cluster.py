"""Jobs on a Ray cluster: on as many machines as it has, which may leave it while jobs run."""

from __future__ import annotations

import contextlib
import dataclasses
import logging
import os
import time
import traceback
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from drawgrad.studies.engine.jobs import JobFolderError, Listener, Outcome, Work, attempt, cause_of, keep
from drawgrad.studies.files import write_atomically

__all__ = ["ClusterError", "RayCluster"]


EVERYWHERE = {
    # Nothing is told to anyone outside.
    "RAY_USAGE_STATS_ENABLED": "0",
    # Who asks for no GPU is not kept from seeing those of the node.
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
}
"""What Ray reads from the environment when it is imported, unless it is set already."""
HERE = {
    # It listens on the loopback address, as where clusters of several machines are impossible.
    "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",
    # The jobs are what it is started for.
    "RAY_worker_niceness": "0",
}
"""The same for a cluster that is started for these jobs."""
LOOK_EVERY, PATIENCE = 0.5, 10.0
"""Seconds between looks at what jobs say, and how long that is waited for."""


class ClusterError(Exception):
    """Ray is not installed, or a cluster does not answer."""


@dataclass(frozen=True)
class RayCluster:
    """A Ray cluster, as an engine.

    A job takes one core of any node; the folder of jobs on a node has the path that it has here. Where the nodes share
    it, a job whose node is lost goes on elsewhere from its checkpoint; where they do not, it begins again. Results come
    here, whatever happens to the node that found them.

    Args:
        address: Of a cluster that runs, `host:port`, or `auto` for that of this machine. None starts one for these jobs
            on this machine, which nobody else can reach.
        workers: Cores of a cluster that is started.
        gpus: Of a node that each job has for itself; a part of one if less than 1.

    Raises:
        ClusterError: When jobs are done, if Ray is not installed or the cluster does not answer.
    """

    address: str | None = None
    workers: int = 1
    gpus: float = 0.0

    def __call__(self, work: Sequence[Work], root: Path, listener: Listener) -> Generator[Outcome, None, None]:
        """Do jobs; see :class:`~drawgrad.studies.engine.Engine`."""
        with self._connected() as ray:
            # Work that ends its process is not tried again: it would do so everywhere.
            remote = ray.remote(num_cpus=1, num_gpus=self.gpus, max_retries=0)(_perform)
            board, begin = _board(ray), time.perf_counter()

            def given(each: Work) -> Any:
                return remote.remote(each, [job.key for job in each.jobs], root.absolute(), board)

            running = {given(each): each for each in work}
            while running:
                ended, _ = ray.wait(list(running), num_returns=1, timeout=LOOK_EVERY)
                with contextlib.suppress(ray.exceptions.RayError):  # Without the board nothing is lost but words.
                    for said in ray.get(board.taken.remote(), timeout=PATIENCE):
                        listener(*said)
                if not ended:
                    continue
                (reference,) = ended
                each = running.pop(reference)
                try:
                    found = ray.get(reference)
                except ray.exceptions.NodeDiedError:
                    for job in each.jobs:
                        listener(job.name, "again, for its node is gone")
                    running[given(each)] = each
                    continue
                except ray.exceptions.RayError as error:
                    cause = f"its process ended, or could not begin ({' '.join(str(error).split())})"
                    seconds = time.perf_counter() - begin
                    found = [(Outcome(job, root / job.name, seconds, failure=cause), "") for job in each.jobs]
                # The jobs as they were given, not their copies.
                jobs = {job.name: job for job in each.jobs}
                for copy, report in found:
                    name = copy.job.name
                    outcome = dataclasses.replace(copy, job=jobs[name], folder=root / name)
                    if outcome.failure is None:
                        keep(outcome)
                    elif report:
                        with contextlib.suppress(OSError):  # Which may be the failure itself.
                            write_atomically(outcome.folder / "log.txt", report)
                    yield outcome

    @contextlib.contextmanager
    def _connected(self) -> Iterator[Any]:
        """Ray, with a connection that ends with the jobs that still run."""
        for name, value in (EVERYWHERE if self.address is not None else EVERYWHERE | HERE).items():
            os.environ.setdefault(name, value)
        try:
            import ray
        except ImportError as error:
            raise ClusterError("Ray is not installed; pip install 'drawgrad[ray]'") from error
        where: dict[str, Any] = {"num_cpus": self.workers, "include_dashboard": False} if self.address is None else {}
        try:
            ray.init(self.address or "local", log_to_driver=False, logging_level=logging.ERROR, **where)
        except (ConnectionError, RuntimeError, ValueError) as error:
            raise ClusterError(
                f"no Ray cluster answers at {self.address} ({' '.join(str(error).split())}); "
                "start one with ray start --head, or correct the address"
            ) from error
        try:
            if self.gpus and ray.cluster_resources().get("GPU", 0) < self.gpus:
                raise ClusterError("no node of the cluster has a GPU, for which the jobs would wait; add one")
            yield ray
        finally:
            ray.shutdown()


class _Board:
    """Where jobs on all nodes say what they are doing: the last word of each counts."""

    def __init__(self) -> None:
        self._said: dict[str, str] = {}

    def tell(self, name: str, message: str) -> None:
        self._said[name] = message

    def taken(self) -> list[tuple[str, str]]:
        """What was said since this was asked last."""
        said, self._said = self._said, {}
        return list(said.items())


def _board(ray: Any) -> Any:
    """A board on the head of the cluster, the only node that stays as long as there is one."""
    return ray.remote(num_cpus=0, resources={"node:__internal_head__": 1e-3})(_Board).remote()


def _perform(work: Work, keys: list[str], root: Path, board: Any) -> list[tuple[Outcome, str]]:
    """Do jobs on a node; returns how each ended, and the traceback of a failure."""
    said: list[Any] = []

    def tell(name: str, message: str) -> None:
        said[:] = [board.tell.remote(name, message)]

    begin = time.perf_counter()
    try:
        if [job.key for job in work.jobs] != keys:
            raise JobFolderError("the node has another version of drawgrad than the machine that gives the jobs")
        for job in work.jobs:
            job.claim(root)
    except Exception as error:
        seconds, report = time.perf_counter() - begin, traceback.format_exc()
        return [(Outcome(job, root / job.name, seconds, failure=cause_of(error)), report) for job in work.jobs]
    found = [(outcome, _report(outcome)) for outcome in attempt(work, root, tell)]
    _until_heard(said)
    return found


def _until_heard(said: list[Any]) -> None:
    """Wait for the last word, which would come after the result else."""
    import ray

    with contextlib.suppress(ray.exceptions.RayError):
        ray.get(said, timeout=PATIENCE)


def _report(outcome: Outcome) -> str:
    """The traceback of a failure."""
    if outcome.failure is None:
        return ""
    with contextlib.suppress(OSError):  # Which may be the failure itself.
        return (outcome.folder / "log.txt").read_text(encoding="utf-8")
    return ""
