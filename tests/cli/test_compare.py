"""`drawgrad compare`, with studies made small."""

from __future__ import annotations

import functools
import multiprocessing
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from drawgrad.cli import main
from drawgrad.cli.compare import STUDIES
from drawgrad.studies import dial, linear_reward, polynomial, toy_exhibit


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dial, "dial", functools.partial(dial.dial, draws=20))
    monkeypatch.setattr(polynomial, "polynomial", functools.partial(polynomial.polynomial, steps=3))
    monkeypatch.setattr(toy_exhibit, "toy", functools.partial(toy_exhibit.toy, steps=3))
    linear = functools.partial(linear_reward.linear_reward, trials=20, evaluations=(1, 2, 8, 16))
    monkeypatch.setattr(linear_reward, "linear_reward", linear)


class TestCompare:
    def test_runs_all_studies(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        assert main(["compare", "--out", str(tmp_path), "--runs", "2", "--jobs", "1"]) == 0
        assert {path.suffix for path in tmp_path.iterdir()} == {".png", ".md", ".json"}
        assert len(list(tmp_path.iterdir())) == 3 * len(STUDIES)
        shown = capsys.readouterr().out
        for text in ("Gumbel-Rao", "RELAX", "p = 1.5", "Figure: "):
            assert text in shown

    def test_runs_those_that_are_named(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        assert main(["compare", "dial", "--out", str(tmp_path)]) == 0
        assert sorted(path.name for path in tmp_path.iterdir()) == ["dial.json", "dial.md", "dial.png"]
        assert "exp(z.v)" in capsys.readouterr().out

    def test_leaves_the_number_of_threads_as_it_was(self, tmp_path: Path) -> None:
        threads = torch.get_num_threads()
        torch.set_num_threads(3)
        try:
            assert main(["compare", "dial", "--out", str(tmp_path)]) == 0
            assert torch.get_num_threads() == 3
        finally:
            torch.set_num_threads(threads)

    def test_keeps_a_number_and_its_error_on_one_line(
        self, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("COLUMNS", "80")
        assert main(["compare", "linear", "dial", "--jobs", "1", "--out", str(tmp_path)]) == 0
        lines = capsys.readouterr().out.splitlines()
        assert max(len(line) for line in lines if not line.startswith("Figure: ")) <= 80
        (row,) = (line for line in lines if line.startswith("Gumbel-Rao  ") and "x" in line)
        assert row.count(" ± ") == 3

    def test_repeats_itself(self, tmp_path: Path) -> None:
        for folder in ("a", "b"):
            assert main(["compare", "toy", "--runs", "2", "--seed", "5", "--out", str(tmp_path / folder)]) == 0
        assert (tmp_path / "a" / "toy.json").read_text() == (tmp_path / "b" / "toy.json").read_text()


def ended(group: int, seconds: float = 10) -> bool:
    """Whether all processes of a group end soon."""
    for _ in range(int(10 * seconds)):
        try:
            os.killpg(group, 0)
        except ProcessLookupError:
            return True
        time.sleep(0.1)
    return False


@pytest.fixture
def _interruptible() -> Iterator[None]:
    """What runs in the background of a script ignores interrupts, and so does what it starts."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


class TestSideBySide:
    """In processes of their own, which see the studies as they are."""

    def test_a_mistake_in_one_ends_all(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        # A folder that stands where the table goes.
        (tmp_path / "dial.md").mkdir()
        assert main(["compare", "dial", "toy", "--out", str(tmp_path)]) == 2
        assert capsys.readouterr().err.startswith(f"drawgrad compare: {tmp_path} cannot be written (")
        assert not multiprocessing.active_children()
        assert not (tmp_path / "toy.md").exists()

    @pytest.mark.usefixtures("_interruptible")
    @pytest.mark.parametrize("arguments", [["toy"], ["toy", "polynomial"]])
    def test_an_interrupt_is_one_line(self, arguments: list[str], tmp_path: Path) -> None:
        command = [sys.executable, "-m", "drawgrad.cli", "compare", *arguments, "--out", str(tmp_path / "out")]
        with subprocess.Popen(
            command, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True, start_new_session=True
        ) as process:
            while process.poll() is None and not (tmp_path / "out").exists():
                time.sleep(0.05)
            time.sleep(4)
            os.killpg(process.pid, signal.SIGINT)
            _, error = process.communicate(timeout=60)
        assert process.returncode == 130
        assert error.strip() == f"drawgrad compare: interrupted; what was finished is in {tmp_path / 'out'}"
        assert list((tmp_path / "out").iterdir()) == []
        assert ended(process.pid)


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        ("compare circle", "drawgrad compare: invalid value for '[STUDY]...': 'circle' is not one of 'linear', 'dial'"),
        ("compare --runs 1", "drawgrad compare: --runs 1 is not in the range x>=2; see drawgrad compare --help"),
        ("compare --sed 1", "drawgrad compare: there is no option --sed; did you mean --seed?"),
        ("compare dial --out file", "drawgrad compare: file cannot be written ("),
    ],
)
def test_a_mistake_is_one_line(
    arguments: str, line: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").touch()
    assert main(arguments.split()) == 2
    error = capsys.readouterr().err
    assert error.startswith(line)
    assert error.count("\n") == 1
