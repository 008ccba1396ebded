"""`drawgrad compare`, with studies made small."""

from __future__ import annotations

import functools
from pathlib import Path

import pytest

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
        assert main(["compare", "--out", str(tmp_path), "--runs", "2"]) == 0
        assert {path.suffix for path in tmp_path.iterdir()} == {".png", ".md", ".json"}
        assert len(list(tmp_path.iterdir())) == 3 * len(STUDIES)
        shown = capsys.readouterr().out
        for text in ("Gumbel-Rao", "RELAX", "p = 1.5", "Figure: "):
            assert text in shown

    def test_runs_those_that_are_named(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        assert main(["compare", "dial", "--out", str(tmp_path)]) == 0
        assert sorted(path.name for path in tmp_path.iterdir()) == ["dial.json", "dial.md", "dial.png"]
        assert "exp(z.v)" in capsys.readouterr().out

    def test_repeats_itself(self, tmp_path: Path) -> None:
        for folder in ("a", "b"):
            assert main(["compare", "toy", "--runs", "2", "--seed", "5", "--out", str(tmp_path / folder)]) == 0
        assert (tmp_path / "a" / "toy.json").read_text() == (tmp_path / "b" / "toy.json").read_text()


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
