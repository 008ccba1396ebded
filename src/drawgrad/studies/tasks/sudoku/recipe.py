"""The study of a teacher: a reader trained by it, and boards of all levels solved with what it reads."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
from torch import nn

from drawgrad.studies.data.sudoku import LEVELS
from drawgrad.studies.tasks.reading.network import read
from drawgrad.studies.tasks.reading.training import Training, train
from drawgrad.studies.tasks.sudoku.data import Boards, Digits, Handwritten, load_handwritten
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
        most: Training boards, chosen at random; all of them if None.
        data_dir: Folder with `mnist/` and `sudoku/`.
    """

    teacher: str
    epochs: int = 1
    batch: int = 12
    boards: int = 200
    most: int | None = None
    data_dir: Path | None = field(default=None, compare=False)

    def run(self, seed: int, folder: Path, listener: Callable[[str], None]) -> dict[str, Any]:
        """Train and test; see :class:`~drawgrad.studies.engine.Recipe`."""
        return self.measure(load_handwritten(self.data_dir, TRAIN_LEVELS, LEVELS), seed, folder, listener)

    def measure(self, data: Handwritten, seed: int, folder: Path, listener: Callable[[str], None]) -> dict[str, Any]:
        """Train and test on data that are loaded already."""
        teacher = TEACHERS[self.teacher]
        if self.most is not None:
            order = torch.randperm(len(data.train.puzzles), generator=torch.Generator().manual_seed(seed))
            data = replace(data, train=data.train.take(order[: self.most]))
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
            "example": _example(trained.reader, data.test.get("easy", test), data.test_digits, seed),
        }


def _example(reader: nn.Module, boards: Boards, digits: Digits, seed: int) -> dict[str, Any]:
    """The last board, written by hand, and how its givens are read: for a picture."""
    last = boards.take(slice(-1, None))
    told = last.told(digits, torch.Generator().manual_seed(seed))
    return {
        "puzzle": last.puzzles[0].tolist(),
        "solution": last.solutions[0].tolist(),
        "pixels": (told.images * 255).byte().flatten(1).tolist(),
        "probs": read(reader, told.images).exp().tolist(),
    }
