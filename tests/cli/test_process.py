"""The program's process: signals end it in one line at any moment, and no character is too much for a terminal."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from drawgrad.cli import process
from drawgrad.cli.wording import UserError

ROOT = Path(__file__).parents[2]
LIMIT = 600
"""Seconds that nothing here takes, on any machine."""


def tried(arguments: list[str], tmp_path: Path) -> list[tuple[str, int, int, str]]:
    """What a signal did at each of many moments: place, signal, exit code, standard error."""
    results = tmp_path / "moments"
    command = [sys.executable, "-m", "tests.cli.moments", str(results), *arguments]
    run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=LIMIT)
    assert run.returncode == 0, run.stderr
    return [tuple(json.loads(line)) for line in results.read_text().splitlines()]


def assert_each_is_one_line(found: list[tuple[str, int, int, str]], lines: set[str]) -> None:
    assert len(found) >= 20
    assert {number for _, number, _, _ in found} == {signal.SIGINT, signal.SIGTERM}
    for place, number, code, error in found:
        assert code == 128 + number, (place, error)
        assert error.replace("terminated", "interrupted") in lines, place
    assert found[-1][0] == "exit"


class TestAnyMoment:
    def test_of_a_comparison(self, tmp_path: Path) -> None:
        out = tmp_path / "out"
        found = tried(["compare", "coin", "--runs", "2", "--jobs", "1", "--out", str(out)], tmp_path)
        named = f"drawgrad compare: interrupted; what was finished is in {out}\n"
        assert_each_is_one_line(found, {"drawgrad: interrupted\n", "drawgrad compare: interrupted\n", named})
        assert named in {error for *_, error in found}

    def test_of_a_training(self, tmp_path: Path) -> None:
        out = tmp_path / "out"
        sizes = ["--hidden", "8", "--variables", "3", "--categories", "4", "--batch-size", "500", "--test-samples", "5"]
        found = tried(["train", *sizes, "--epochs", "1", "--out", str(out)], tmp_path)
        plain = "drawgrad train: interrupted\n"
        named = f"drawgrad train: interrupted; continue with: drawgrad train --resume --out {out}\n"
        assert_each_is_one_line(found, {"drawgrad: interrupted\n", plain, named})
        assert {plain, named} <= {error for *_, error in found}


@pytest.fixture
def _interruptible() -> Iterator[None]:
    """What runs in the background of a script ignores interrupts, and so does what it starts."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


class TestRealSignals:
    """From outside, while workers run."""

    @pytest.mark.usefixtures("_interruptible")
    @pytest.mark.parametrize(("number", "word"), [(signal.SIGINT, "interrupted"), (signal.SIGTERM, "terminated")])
    def test_end_the_program_and_its_workers(self, number: int, word: str, tmp_path: Path) -> None:
        out = tmp_path / "out"
        command = [sys.executable, "-m", "drawgrad", "compare", "coin", "polynomial", "--out", str(out)]
        with subprocess.Popen(command, cwd=tmp_path, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True,
                              start_new_session=True) as run:  # fmt: skip
            end = time.monotonic() + LIMIT
            while run.poll() is None and len(workers := children(run.pid)) < 2 and time.monotonic() < end:
                time.sleep(0.01)
            assert len(workers) == 2
            # As a terminal does it: to the whole group, workers included if they were in it.
            os.killpg(run.pid, number)
            _, error = run.communicate(timeout=LIMIT)
        assert run.returncode == 128 + number
        assert error == f"drawgrad compare: {word}; what was finished is in {out}\n"
        while any(Path(f"/proc/{worker}").exists() for worker in workers):
            assert time.monotonic() < end, "a worker goes on"
            time.sleep(0.01)
        assert {path.name for path in out.rglob("*") if path.is_file()} <= {"job.json", "log.txt"}

    def test_that_are_ignored_where_the_program_starts_stay_ignored(self) -> None:
        code = (
            "import os, signal, sys; signal.signal(signal.SIGINT, signal.SIG_IGN); from drawgrad.cli import process; "
            "process.begin(); os.kill(os.getpid(), signal.SIGINT); print('on')"
        )
        run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
        assert (run.returncode, run.stdout) == (0, "on\n")


def children(parent: int) -> list[int]:
    """The processes that a process has started."""
    try:
        return [int(child) for child in Path(f"/proc/{parent}/task/{parent}/children").read_text().split()]
    except FileNotFoundError:
        return []


class TestStopping:
    """What stops by itself is asked first."""

    @pytest.fixture(autouse=True)
    def _handler(self, _interruptible: None) -> None:
        self.handler = signal.getsignal(signal.SIGINT)

    def test_is_told_once(self) -> None:
        def work() -> None:
            with process.stop_when_interrupted() as stop:
                assert not stop()
                signal.raise_signal(signal.SIGINT)
                assert stop()
                raise ArithmeticError  # As of what has stopped.

        with pytest.raises(ArithmeticError):
            work()
        assert signal.getsignal(signal.SIGINT) is self.handler

    def test_at_the_second_time_is_an_interrupt(self) -> None:
        def work() -> None:
            with process.stop_when_interrupted():
                signal.raise_signal(signal.SIGINT)
                signal.raise_signal(signal.SIGINT)
                pytest.fail("it went on")

        with pytest.raises(KeyboardInterrupt):
            work()
        assert signal.getsignal(signal.SIGINT) is self.handler

    def test_that_came_too_late_is_an_interrupt_afterwards(self) -> None:
        done = []

        def work() -> None:
            with process.stop_when_interrupted():
                signal.raise_signal(signal.SIGINT)
                done.append("the last step")
            done.append("what follows")

        with pytest.raises(KeyboardInterrupt):
            work()
        assert done == ["the last step"]

    def test_without_a_signal_nothing_happens(self) -> None:
        with process.stop_when_interrupted() as stop:
            assert not stop()
        assert signal.getsignal(signal.SIGINT) is self.handler

    def test_in_another_thread_there_is_none(self) -> None:
        found = []

        def work() -> None:
            with process.stop_when_interrupted() as stop:
                found.append(stop())

        thread = threading.Thread(target=work)
        thread.start()
        thread.join()
        assert found == [False]


def test_an_interrupt_says_what_was_said_last() -> None:
    def work() -> None:
        with process.when_interrupted("compare", lambda: "inner"):
            raise KeyboardInterrupt

    with pytest.raises(UserError, match="inner") as raised, process.when_interrupted("compare", lambda: "outer"):
        work()
    assert (raised.value.command, raised.value.code) == ("compare", 130)


def test_a_terminal_without_the_characters_shows_others(tmp_path: Path) -> None:
    code = "from drawgrad.cli import process; process.begin(); print('1.5 ± 0.2, τ, bias², 漢')"
    environment = {**os.environ, "PYTHONIOENCODING": "ascii"}
    run = subprocess.run(
        [sys.executable, "-c", code], env=environment, cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert (run.stdout, run.stderr, run.returncode) == ("1.5 +- 0.2, tau, bias^2, ?\n", "", 0)


def test_the_end_runs_the_hooks_of_libraries_and_keeps_the_code() -> None:
    code = (
        "import atexit; from drawgrad.cli import process; process.begin(); "
        "atexit.register(print, 'hook'); process.end(7)"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (run.stdout, run.returncode) == ("hook\n", 7)


def test_a_mistake_in_the_program_is_a_traceback_as_ever() -> None:
    code = "from drawgrad.cli import process; process.begin(); 1 / 0"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert run.returncode == 1
    assert "ZeroDivisionError" in run.stderr
