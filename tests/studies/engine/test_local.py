"""Jobs on this machine, in this process and in workers."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from drawgrad.studies.engine import Job, JobFolderError, Local, run
from tests.studies.engine.recipes import Endless, Failing, Square, alive

ROOT = Path(__file__).parents[3]


def soon(condition: Callable[[], bool]) -> bool:
    """Whether a condition comes true within two minutes, which are long on any machine."""
    end = time.monotonic() + 120
    while not condition():
        if time.monotonic() > end:
            return False
        time.sleep(0.01)
    return True


class TestInTurn:
    def test_does_each_once_and_says_what_it_does(self, tmp_path: Path) -> None:
        jobs = [Job("two", Square(2.0), 0), Job("three", Square(3.0), 1)]
        told: list[tuple[str, str]] = []
        first = list(run(jobs, tmp_path, listener=lambda *said: told.append(said)))
        assert [(o.job.name, o.result and o.result["square"], o.earlier) for o in first] == [
            ("two", 4.0, False), ("three", 9.0, False)
        ]  # fmt: skip
        assert told == [("two", "squaring"), ("three", "squaring")]
        again = list(run([*jobs, Job("four", Square(4.0), 0)], tmp_path))
        assert [(o.job.name, o.earlier) for o in again] == [("two", True), ("three", True), ("four", False)]
        assert [o.result for o in again[:2]] == [o.result for o in first]
        assert (tmp_path / "two" / "runs").read_text() == "x"

    @pytest.mark.parametrize(
        ("way", "cause"),
        [("raises", "ArithmeticError: the loss is nan"), ("infinite", "ValueError: Out of range float values are not")],
    )
    def test_a_failure_is_told_and_the_others_go_on(self, tmp_path: Path, way: str, cause: str) -> None:
        failed, done = run([Job("bad", Failing(way), 0), Job("good", Square(1.0), 0)], tmp_path)
        assert failed.failure is not None
        assert failed.failure.startswith(cause)
        assert failed.result is None
        assert "Traceback" in (failed.folder / "log.txt").read_text()
        assert done.result is not None

    def test_begins_none_if_one_folder_is_taken(self, tmp_path: Path) -> None:
        (tmp_path / "second").mkdir()
        (tmp_path / "second" / "mine").touch()
        with pytest.raises(JobFolderError, match="second"):
            list(run([Job("first", Square(1.0), 0), Job("second", Square(1.0), 0)], tmp_path))
        assert not (tmp_path / "first" / "runs").exists()


class TestSideBySide:
    def test_failures_of_all_kinds_take_no_other_job_with_them(self, tmp_path: Path) -> None:
        jobs = [Job(way, Failing(way), 0) for way in ("raises", "killed", "exits")] + [Job("good", Square(2.0), 5)]
        told: list[tuple[str, str]] = []
        found = {o.job.name: o for o in run(jobs, tmp_path, engine=Local(2), listener=lambda *said: told.append(said))}
        assert {name: outcome.failure for name, outcome in found.items()} == {
            "raises": "ArithmeticError: the loss is nan",
            "killed": "its process was ended by SIGKILL, which systems do that are short of memory",
            "exits": "its process ended with code 3",
            "good": None,
        }
        assert told == [("good", "squaring")]
        good = found["good"].result
        assert good is not None
        assert (good["square"], good["threads"]) == (4.0, 1)
        assert good["process"] != os.getpid()
        # The same job in this process finds the same.
        (here,) = run([Job("good", Square(2.0), 5)], tmp_path / "here")
        assert here.result is not None
        assert here.result["drawn"] == good["drawn"]

    def test_who_stops_listening_ends_the_workers(self, tmp_path: Path) -> None:
        outcomes = run([Job("endless", Endless(), 0), Job("bad", Failing("raises"), 0)], tmp_path, engine=Local(2))
        assert next(outcomes).job.name == "bad"
        process = tmp_path / "endless" / "process"
        assert soon(lambda: process.exists() and process.read_text() != "")
        outcomes.close()  # type: ignore[attr-defined]
        assert not alive(int(process.read_text()))

    @pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
    def test_however_the_process_ends_its_workers_end_too(self, tmp_path: Path, number: int) -> None:
        code = (
            "import sys; from pathlib import Path; from drawgrad.studies.engine import Job, Local, run; "
            "from tests.studies.engine.recipes import Endless\n"
            "list(run([Job('endless', Endless(), 0)], Path(sys.argv[1]), engine=Local(2)))"
        )
        command = [sys.executable, "-c", code, str(tmp_path)]
        process = tmp_path / "endless" / "process"
        with subprocess.Popen(command, cwd=ROOT, stderr=subprocess.DEVNULL) as parent:
            assert soon(lambda: (process.exists() and process.read_text() != "") or parent.poll() is not None)
            worker = int(process.read_text())
            assert alive(worker)
            parent.send_signal(number)
            parent.wait()
        assert soon(lambda: not alive(worker))
