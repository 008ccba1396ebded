"""The study of a teacher, on few boards."""

from __future__ import annotations

import json
from pathlib import Path

from drawgrad.studies.engine import Job
from drawgrad.studies.tasks.sudoku.evaluation import TEMPERATURES
from drawgrad.studies.tasks.sudoku.recipe import SudokuRecipe
from tests.studies.tasks.sudoku.boards import handwritten


def test_a_study_from_the_boards_to_the_numbers(tmp_path: Path) -> None:
    recipe = SudokuRecipe("all completions", batch=6, boards=2)
    found = recipe.measure(handwritten(), 0, tmp_path, lambda message: None)
    assert json.loads(json.dumps(found, allow_nan=False)).keys() == found.keys()
    assert 0 <= found["digits"] <= 1
    assert found["evaluations"] == 6
    kids = found["boards"]["kids"]
    assert all(0 <= kids[name] <= 1 for name in ("read", "annealed", "likely", "single", "limited"))
    assert len(kids["annealing"]["gap"]) == len(TEMPERATURES)
    example = found["example"]
    assert len(example["pixels"]) == len(example["probs"]) == sum(value >= 0 for value in example["puzzle"])


def test_fewer_boards_are_chosen_at_random(tmp_path: Path) -> None:
    few = SudokuRecipe("all completions", batch=1, boards=1, most=3)
    found = few.measure(handwritten(), 0, tmp_path, lambda message: None)
    assert found["curve"][-1][0] == 3


def test_where_the_data_lie_does_not_decide() -> None:
    keys = {Job("name", SudokuRecipe("all completions", data_dir=folder), 0).key for folder in (None, Path("here"))}
    assert len(keys) == 1
    assert Job("name", SudokuRecipe("soft propagation"), 0).key not in keys
