"""Sudoku boards from files."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest
import torch

from drawgrad.logic import sudoku
from drawgrad.studies.data import DataError
from drawgrad.studies.data.sudoku import LEVELS, load_boards, parse_boards

BOARD = "530070000600195000098000060800060003400803001700020006060000280000419005000080079"
ANSWER = "534678912672195348198342567859761423426853791713924856961537284287419635345286179"


def test_lines() -> None:
    puzzles, solutions = parse_boards(f"puzzle,solution\n{BOARD},{ANSWER}\n", "x")
    assert puzzles[0, :3].tolist() == [4, 2, -1]
    assert sudoku().satisfied(solutions).tolist() == [True]
    assert parse_boards("puzzle,solution\n", "x")[0].shape == (0, 81)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (BOARD, "line 2 of x is no puzzle with its solution"),
        (f"{BOARD},{ANSWER[1:]}", "line 2 of x is no puzzle with its solution: a board has 81 characters"),
        (f"{BOARD},6{ANSWER[1:]}", "line 2 of x has a solution that is not one of its puzzle"),
        (f"{BOARD},{ANSWER[:-1]}0", "line 2 of x has a solution that is not one of its puzzle"),
    ],
)
def test_damaged_lines(line: str, message: str) -> None:
    with pytest.raises(DataError, match=message):
        parse_boards(f"puzzle,solution\n{line}\n", "x")


def test_files(tmp_path: Path) -> None:
    folder = tmp_path / "sudoku"
    folder.mkdir()
    with pytest.raises(DataError, match=r"kids\.csv\.gz is missing"):
        load_boards("kids", tmp_path)
    (folder / "kids.csv").write_text(f"puzzle,solution\n{BOARD},{ANSWER}\n")
    assert load_boards("kids", tmp_path)[0].shape == (1, 81)
    (folder / "kids.csv.gz").write_bytes(gzip.compress(b"puzzle,solution\n")[:-3])
    with pytest.raises(DataError, match="is damaged: it cannot be read to its end"):
        load_boards("kids", tmp_path)
    with pytest.raises(ValueError, match="level must be one of kids, easy, medium, expert, evil"):
        load_boards("hard", tmp_path)


@pytest.mark.parametrize("level", LEVELS)
def test_boards_at_hand(shared_data: Path, level: str) -> None:
    puzzles, solutions = load_boards(level, shared_data)
    assert puzzles.shape == solutions.shape == (5000, 81)
    givens = (puzzles >= 0).sum(-1)
    low, high = {"kids": (49, 51), "easy": (31, 32), "medium": (29, 30), "expert": (27, 29), "evil": (17, 17)}[level]
    assert low <= givens.min() <= givens.max() <= high
    assert sudoku().satisfied(solutions).all()
    assert torch.equal(puzzles[puzzles >= 0], solutions[puzzles >= 0])
