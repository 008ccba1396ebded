"""`drawgrad exhibit`, with studies made small."""

from __future__ import annotations

from pathlib import Path

import pytest

from drawgrad.cli import main
from drawgrad.studies.exhibits import STRUCTURES
from drawgrad.studies.exhibits.sorting import Sorting, SortingRecipe
from drawgrad.studies.records import provenance, read

LENGTHS = (2, 3)


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    def sorting(seeds: int, steps: int | None, data_dir: Path | None) -> Sorting:
        return Sorting(seeds, steps=steps or 2, lengths=LENGTHS, lists=4)

    monkeypatch.setitem(STRUCTURES, "sorting", STRUCTURES["sorting"]._replace(study=sorting))


def exhibit(out: Path, *more: str) -> int:
    return main(["exhibit", "sorting", "--jobs", "1", "--out", str(out), *more])


def test_prints_the_table_and_leaves_figure_and_record(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert exhibit(tmp_path, "--seeds", "2") == 0
    shown = capsys.readouterr().out
    # Where nothing moves, each training that has ended has its line.
    assert [line.split(": ")[0] for line in shown.splitlines()[:4]] == [
        f"sorting/{n}-numbers-seed-{seed}" for seed in range(2) for n in LENGTHS
    ]
    assert "(4 of 4 done)" in shown.splitlines()[3]
    assert "Sorting n numbers" in shown
    assert f"Figure: {tmp_path / 'sorting' / 'figure.png'}" in shown
    files = {path.name for path in (tmp_path / "sorting").iterdir() if path.is_file()}
    assert files == {"figure.png", "sorting.json", "table.md"}
    record = read(tmp_path / "sorting" / "sorting.json")
    assert record.command == "drawgrad exhibit sorting --seeds 2"
    assert record.commit == provenance().commit
    assert record.threads == 1
    assert {cell.samples for cell in record.measurements} == {2}


def test_more_seeds_are_added_to_those_that_are_there(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert exhibit(tmp_path, "--seeds", "1") == 0
    first = {path: path.read_bytes() for path in tmp_path.rglob("result.json")}
    assert len(first) == 2
    assert exhibit(tmp_path, "--seeds", "2", "--steps", "2") == 0
    assert {path: path.read_bytes() for path in first} == first
    assert len(list(tmp_path.rglob("result.json"))) == 4
    capsys.readouterr()
    assert exhibit(tmp_path, "--seeds", "2") == 0
    shown = capsys.readouterr().out
    assert "(measured before)" in shown
    assert "done)" not in shown


def test_a_training_that_fails_leaves_the_others_their_table(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    train = SortingRecipe.run

    def run(recipe: SortingRecipe, *arguments: object) -> object:
        if recipe.numbers == 3:
            raise ArithmeticError("the loss is nan")
        return train(recipe, *arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(SortingRecipe, "run", run)
    assert exhibit(tmp_path, "--seeds", "1") == 1
    shown = capsys.readouterr()
    assert "sorting/3-numbers-seed-0 failed: ArithmeticError: the loss is nan\n" in shown.out
    assert {cell.quantity for cell in read(tmp_path / "sorting" / "sorting.json").measurements} == {"n = 2"}
    log = tmp_path / "sorting" / "3-numbers-seed-0" / "log.txt"
    assert shown.err == f"drawgrad exhibit: sorting/3-numbers-seed-0 failed; see {log}\n"


def test_a_table_of_whole_seeds_is_there_before_the_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    train = SortingRecipe.run

    def run(recipe: SortingRecipe, seed: int, *arguments: object) -> object:
        if (recipe.numbers, seed) == (3, 1):
            # Killed in the last training.
            raise KeyboardInterrupt
        return train(recipe, seed, *arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(SortingRecipe, "run", run)
    assert exhibit(tmp_path, "--seeds", "2") == 130
    assert {cell.samples for cell in read(tmp_path / "sorting" / "sorting.json").measurements} == {1}


def test_other_settings_are_not_mixed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert exhibit(tmp_path, "--seeds", "1") == 0
    capsys.readouterr()
    assert exhibit(tmp_path, "--seeds", "1", "--steps", "1") == 2
    assert capsys.readouterr().err == (
        f"drawgrad exhibit: {tmp_path / 'sorting' / '2-numbers-seed-0'} holds the results of steps 2, not of steps 1; "
        "choose another folder with --out\n"
    )


def test_missing_data_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["exhibit", "characters", "--seeds", "1", "--data-dir", str(tmp_path), "--out", str(tmp_path / "out")]
    assert main([*arguments, "--jobs", "1"]) == 1
    shown = capsys.readouterr()
    assert "tiny_shakespeare.txt is missing; put it there" in shown.out
    assert shown.err.startswith("drawgrad exhibit: characters/model-seed-0 failed; see ")
    assert "Figure" not in shown.out


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        ("circle", "invalid value for '[STUDY]...': 'circle' is not one of 'sorting', 'characters', 'sensors'"),
        ("--seeds 0", "--seeds 0 is not in the range x>=1; see drawgrad exhibit --help"),
        ("--seed 1", "there is no option --seed; did you mean --seeds?"),
        ("--out=", "--out is empty, but must be the name of a folder; see"),
    ],
)
def test_a_mistake_is_one_line(arguments: str, line: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["exhibit", *arguments.split()]) == 2
    error = capsys.readouterr().err
    assert error.startswith(f"drawgrad exhibit: {line}")
    assert error.count("\n") == 1
