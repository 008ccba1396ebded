"""The study of a teacher: a reader trained by it, and boards of all levels solved with what it reads."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from drawgrad.studies.data.sudoku import LEVELS
from drawgrad.studies.tasks.reading.network import read
from drawgrad.studies.tasks.reading.training import Training, train
from drawgrad.studies.tasks.sudoku.data import TEST_BOARDS, Handwritten, load_handwritten
from drawgrad.studies.tasks.sudoku.evaluation import evaluate
from drawgrad.studies.tasks.sudoku.teachers import TEACHERS
from drawgrad.studies.tasks.sudoku.training import BoardLesson, accuracy, new_reader

__all__ = ["GOAL", "TRAIN_LEVELS", "SudokuRecipe"]

TRAIN_LEVELS = ("kids", "easy")
GOAL = 0.97
"""Share of digits whose time is taken."""


@dataclass(frozen=True)
class SudokuRecipe:
    """Train a reader by a teacher, and solve boards of all levels.

    Args:
        teacher: One of :data:`TEACHERS`.
        epochs: Passes over the training boards.
        batch: Boards a step.
        boards: Test boards of each level, the last ones of its file.
        data_dir: Folder with `mnist/` and `sudoku/`.
    """

    teacher: str
    epochs: int = 1
    batch: int = 12
    boards: int = TEST_BOARDS
    data_dir: Path | None = field(default=None, compare=False)

    def run(self, seed: int, folder: Path, listener: Callable[[str], None]) -> dict[str, Any]:
        """Train and test; see :class:`~drawgrad.studies.engine.Recipe`."""
        return self.measure(load_handwritten(self.data_dir, TRAIN_LEVELS, LEVELS), seed, folder, listener)

    def measure(self, data: Handwritten, seed: int, folder: Path, listener: Callable[[str], None]) -> dict[str, Any]:
        """Train and test on data that are loaded already."""
        teacher = TEACHERS[self.teacher]
        lesson = BoardLesson(data, teacher)
        trained = train(lesson, new_reader, Training(self.epochs, self.batch), seed, folder, listener)
        boards = {}
        for level, test in data.test.items():
            listener(f"solving boards of level {level}")
            boards[level] = asdict(
                evaluate(trained.reader, test.take(slice(-self.boards, None)), data.test_digits, seed)
            )
        return {
            "digits": accuracy(read(trained.reader, data.test_digits.pixels), data.test_digits),
            "boards": boards,
            "reached": trained.reached(GOAL),
            "curve": trained.curve,
            "evaluations": self.batch * teacher.evaluations,
        }
