"""The study of handwritten Sudoku: table, figure, cases."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from drawgrad.studies.data.sudoku import LEVELS
from drawgrad.studies.exhibits import STRUCTURES
from drawgrad.studies.exhibits.sudoku import NO_IMAGE, PRINTED, Sudoku, SudokuTeachers
from drawgrad.studies.tasks.sudoku.evaluation import TEMPERATURES
from drawgrad.studies.tasks.sudoku.teachers import TEACHERS
from tests.studies.tasks.sudoku.boards import boards, digits


def result(right: float, reached: tuple[int, float] | None = (100, 12.5)) -> dict[str, Any]:
    """What a job leaves."""
    board = boards(count=1).take(slice(1))
    told = board.told(digits(), torch.Generator().manual_seed(0))
    probs = torch.nn.functional.one_hot(board.puzzles[board.given], 9) * 0.91 + 0.01
    example = {
        "puzzle": board.puzzles[0].tolist(),
        "solution": board.solutions[0].tolist(),
        "pixels": (told.images * 255).byte().flatten(1).tolist(),
        "probs": probs.tolist(),
    }
    shares = {
        "read": right, "annealed": right, "likely": right, "single": right, "limited": 0.0, "determined": 0.1,
        "annealing": {"right": [right] * len(TEMPERATURES), "gap": [0.1] * len(TEMPERATURES)},
    }  # fmt: skip
    found = {"digits": right, "boards": dict.fromkeys(LEVELS, shares), "reached": reached, "curve": [],
             "evaluations": 12, "example": example}  # fmt: skip
    return json.loads(json.dumps(found))


def test_every_teacher_is_shown_once() -> None:
    shown = [recipe.teacher for study in (Sudoku(1), SudokuTeachers(1)) for recipe in study.cases().values()]
    assert sorted(shown) == sorted(TEACHERS)


def test_the_table_has_means_with_errors_and_what_is_printed(tmp_path: Path) -> None:
    study = Sudoku(2)
    results = {job.name: result(right) for job, right in zip(study.jobs(), (0.9, 0.8), strict=True)}
    cells = {(cell.case, cell.quantity): cell for cell in study.measurements(results)}
    likely = cells["most likely solution", "evil"]
    assert (likely.value, likely.spread, likely.samples) == (pytest.approx(85), pytest.approx(5), 2)
    assert cells["reading, then solving", "engine calls to 97%"].value == 1200
    assert cells[NO_IMAGE, "kids"].value == pytest.approx(10)
    assert {case for case, quantity in cells if quantity == "printed"} == set(PRINTED)
    page = study.page(results)
    assert page.save(tmp_path).stat().st_size > 20_000
    assert "200 boards" in page.markdown()


def test_what_was_not_reached_by_all_is_left_out() -> None:
    study = SudokuTeachers(1)
    results = {
        job.name: result(0.5, reached) for job, reached in zip(study.jobs(), (None, (1, 2.0), None, None), strict=True)
    }
    rows = [cell.case for cell in study.measurements(results) if cell.quantity == "seconds to 97%"]
    assert rows == ["solver, straight-through: reading, then solving"]


def test_an_unfinished_study_shows_what_there_is() -> None:
    study = SudokuTeachers(1)
    last = study.jobs()[-1].name
    assert {cell.case.split(":")[0] for cell in study.measurements({last: result(0.5)})} == {"solver, leave-one-out"}


def test_steps_limit_the_boards() -> None:
    (recipe,) = STRUCTURES["sudoku"].study(1, 10, Path("here")).cases().values()
    assert (recipe.most, recipe.data_dir) == (120, Path("here"))
