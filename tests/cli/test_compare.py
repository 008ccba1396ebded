"""`drawgrad compare`, with studies made small."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from drawgrad.cli import main
from drawgrad.studies.exhibits import EXHIBITS, page
from drawgrad.studies.exhibits.coin import Coin
from drawgrad.studies.exhibits.dial import Dial
from drawgrad.studies.exhibits.k_subset import Subsets
from drawgrad.studies.exhibits.linear_reward import LinearReward
from drawgrad.studies.exhibits.page import Page
from drawgrad.studies.exhibits.polynomial import Polynomial

SMALL = {
    "polynomial": lambda runs: Polynomial(runs=runs, steps=3),
    "coin": lambda runs: Coin(runs=runs, steps=3),
    "dial": lambda runs: Dial(draws=20, temperatures=(0.1, 0.2, 0.8)),
    "subsets": lambda runs: Subsets(draws=400, counts=(2, 4)),
    "linear": lambda runs: LinearReward(trials=20, evaluations=(1, 2, 8, 16)),
}


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, recipe in SMALL.items():
        monkeypatch.setitem(EXHIBITS, name, EXHIBITS[name]._replace(recipe=recipe))


def files(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


@pytest.fixture(scope="module")
def all_studies(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a comparison of everything, with as many runs and the seed of the default."""
    out = tmp_path_factory.mktemp("all")
    with pytest.MonkeyPatch.context() as patch:
        for name, recipe in SMALL.items():
            patch.setitem(EXHIBITS, name, EXHIBITS[name]._replace(recipe=recipe))
        threads = torch.get_num_threads()
        torch.set_num_threads(3)
        try:
            assert main(["compare", "--jobs", "1", "--out", str(out)]) == 0
            assert torch.get_num_threads() == 3
        finally:
            torch.set_num_threads(threads)
    return out


class TestCompare:
    def test_runs_all_studies(self, all_studies: Path) -> None:
        left = ("figure.png", "job.json", "result.json", "table.md")
        assert files(all_studies) == sorted(f"{name}/{file}" for name in EXHIBITS for file in left)

    def test_shows_tables_that_fit_a_terminal(
        self, all_studies: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("COLUMNS", "80")
        before = {name: (all_studies / name).read_bytes() for name in files(all_studies) if "result" in name}
        assert main(["compare", "--out", str(all_studies)]) == 0
        shown = capsys.readouterr().out
        assert shown.count("(measured before)") == len(EXHIBITS)
        assert {name: (all_studies / name).read_bytes() for name in before} == before
        for text in ("Gumbel-Rao", "RELAX", "p = 1.5", "Figure: "):
            assert text in shown
        lines = shown.splitlines()
        assert max(len(line) for line in lines if not line.startswith("Figure: ")) <= 80
        # A number and its error stay on one line.
        (row,) = (line for line in lines if line.startswith("Gumbel-Rao  ") and "x" in line)
        assert row.count(" ± ") == 3

    def test_goes_on_where_it_was_stopped(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        coin = ["compare", "coin", "--runs", "2", "--jobs", "1", "--out", str(tmp_path)]
        assert main(coin) == 0
        first = capsys.readouterr().out
        # As if it had been stopped before the figure was drawn.
        (tmp_path / "coin" / "figure.png").unlink()
        assert main([*coin, "polynomial"]) == 0
        again = capsys.readouterr().out
        assert again.split("Figure: ")[0] == first.split("Figure: ")[0]
        assert again.count("(measured before)") == 1
        assert {"coin/figure.png", "polynomial/figure.png"} <= set(files(tmp_path))

    def test_does_not_overwrite_another_comparison(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        assert main(["compare", "coin", "--runs", "2", "--out", str(tmp_path)]) == 0
        before = {name: (tmp_path / name).read_bytes() for name in files(tmp_path)}
        capsys.readouterr()
        assert main(["compare", "coin", "--runs", "2", "--seed", "1", "--out", str(tmp_path)]) == 2
        assert capsys.readouterr().err == (
            f"drawgrad compare: {tmp_path / 'coin'} holds the results of seed 0, not of seed 1; choose another folder "
            "with --out\n"
        )
        assert {name: (tmp_path / name).read_bytes() for name in files(tmp_path)} == before

    def test_does_not_touch_what_is_not_its_own(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        (tmp_path / "coin").mkdir()
        (tmp_path / "coin" / "figure.png").write_text("mine")
        assert main(["compare", "coin", "--out", str(tmp_path)]) == 2
        assert f"{tmp_path / 'coin'} holds files that are not of this program; choose" in capsys.readouterr().err
        assert files(tmp_path) == ["coin/figure.png"]

    def test_side_by_side_finds_what_it_finds_in_turn(self, tmp_path: Path) -> None:
        for jobs in ("1", "2"):
            studies = ["coin", "polynomial", "--runs", "2", "--seed", "5"]
            assert main(["compare", *studies, "--jobs", jobs, "--out", str(tmp_path / jobs)]) == 0
        for name in ("coin", "polynomial"):
            pages = [(tmp_path / jobs / name / "table.md").read_text() for jobs in ("1", "2")]
            assert pages[0] == pages[1]

    def test_a_study_that_fails_takes_no_other_with_it(
        self, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def run(*arguments: object) -> None:
            raise ArithmeticError("the loss is nan")

        monkeypatch.setattr(Polynomial, "run", run)
        assert main(["compare", "polynomial", "coin", "--runs", "2", "--jobs", "1", "--out", str(tmp_path)]) == 1
        shown = capsys.readouterr()
        assert "polynomial failed: ArithmeticError: the loss is nan\n" in shown.out
        assert "One coin b" in shown.out
        log = tmp_path / "polynomial" / "log.txt"
        assert shown.err == f"drawgrad compare: polynomial failed; see {log}\n"
        assert "Traceback" in log.read_text()

    def test_an_interrupt_is_one_line(
        self, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def save(*arguments: object) -> None:
            raise KeyboardInterrupt

        monkeypatch.setattr(Page, "save", save)
        assert main(["compare", "coin", "--runs", "2", "--out", str(tmp_path)]) == 130
        line = f"drawgrad compare: interrupted; what was finished is in {tmp_path}\n"
        assert capsys.readouterr().err == line


def test_a_full_disk_is_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def write(path: Path, content: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))

    monkeypatch.setattr(page, "write_atomically", write)
    assert main(["compare", "coin", "--runs", "2", "--jobs", "1", "--out", str(tmp_path)]) == 1
    assert capsys.readouterr().err == (
        f"drawgrad compare: {tmp_path / 'coin' / 'table.md'}: no space left on device; make room, or choose another "
        "folder with --out\n"
    )
    monkeypatch.undo()
    monkeypatch.setitem(EXHIBITS, "coin", EXHIBITS["coin"]._replace(recipe=SMALL["coin"]))
    assert main(["compare", "coin", "--runs", "2", "--out", str(tmp_path)]) == 0
    assert "(measured before)" in capsys.readouterr().out


LONG = "x" * 300


@pytest.mark.parametrize(
    ("arguments", "code", "line"),
    [
        ("circle", 2, f"invalid value for '[STUDY]...': 'circle' is not one of {', '.join(map(repr, EXHIBITS))}; see"),
        ("--runs 1", 2, "--runs 1 is not in the range x>=2; see drawgrad compare --help"),
        ("--sed 1", 2, "there is no option --sed; did you mean --seed?"),
        ("--out=", 2, "--out is empty, but must be the name of a folder; see"),
        ("dial --out file", 1, "file/dial: not a directory; choose another folder with --out"),
        (f"dial --out {LONG}", 1, f"{'x' * 50}...{'x' * 36}/dial/job.json: file name too long; choose a shorter name"),
    ],
)
def test_a_mistake_is_one_line(
    arguments: str,
    code: int,
    line: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").touch()
    assert main(["compare", *arguments.split()]) == code
    error = capsys.readouterr().err
    assert error.startswith(f"drawgrad compare: {line}")
    assert error.count("\n") == 1
    assert files(tmp_path) == ["file"]


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="the system has no device that is always full")
def test_a_full_standard_output_is_one_line() -> None:
    command = [sys.executable, "-m", "drawgrad", "--help"]
    with open("/dev/full", "w") as full:
        run = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert run.returncode == 1
    assert run.stderr == (
        "drawgrad: standard output: no space left on device; make room, or choose another folder with --out\n"
    )


def test_where_nobody_reads_it_ends_silently() -> None:
    command = [sys.executable, "-m", "drawgrad", "compare", "--help"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as run:
        assert run.stdout is not None
        run.stdout.close()
        assert run.stderr is not None
        assert run.stderr.read() == ""
    assert run.returncode == 1
