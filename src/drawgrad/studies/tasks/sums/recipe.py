"""The study of sums: a reader trained by one teacher, and sums of unseen digits."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import nn

from drawgrad._typing import Float, Int, Tensor
from drawgrad.studies.tasks.reading.network import Reader, moved
from drawgrad.studies.tasks.reading.training import Training, train
from drawgrad.studies.tasks.sums.data import SumsTask, load_sums
from drawgrad.studies.tasks.sums.exact import column_sums, most_likely_sum
from drawgrad.studies.tasks.sums.teachers import TEACHERS, SumTeacher

__all__ = ["SumLesson", "SumsRecipe"]

WATCHED = 2000
"""Unseen digits that the spectator looks at."""
TOGETHER = 1000


class SumLesson:
    """Sums written by hand, and a teacher.

    Args:
        task: The sums.
        teacher: Makes a loss of logits and sums.
        move: Whether images are moved a little, each time anew.
    """

    def __init__(self, task: SumsTask, teacher: SumTeacher, move: bool) -> None:
        self.examples = len(task.train.totals)
        self._sums, self._teacher, self._move = task.train, teacher, move
        self._watched, self._shown = task.test.images(slice(None))[:WATCHED], task.test_digits[:WATCHED]

    def loss(self, reader: nn.Module, rows: Int[Tensor, "batch"], generator: torch.Generator) -> Float[Tensor, ""]:
        """The teacher's loss."""
        images = self._sums.images(rows)
        logits = reader(moved(images, generator) if self._move else images)
        return self._teacher.loss(logits.reshape(*self._sums.pixels[rows].shape[:3], 10), self._sums.totals[rows])

    def watch(self, reader: nn.Module) -> float:
        """The share of some unseen digits that are read rightly."""
        return float((reader(self._watched).argmax(-1) == self._shown).double().mean())


@dataclass(frozen=True)
class SumsRecipe:
    """Train a reader on sums, and count right sums of unseen digits. The reader is LeNet-5, as in the literature.

    Args:
        teacher: One of :data:`TEACHERS`.
        addends: Numbers of a sum.
        digits: Digits of a number.
        most: Sums to train with; as many as the images suffice for if None.
        epochs: Passes over them.
        batch: Sums a step.
        move: Whether training images are moved a little.
        data_dir: Folder with `mnist/`.
    """

    teacher: str
    addends: int = 2
    digits: int = 1
    most: int | None = None
    epochs: int = 3
    batch: int = 64
    move: bool = True
    data_dir: Path | None = field(default=None, compare=False)

    def run(self, seed: int, folder: Path, listener: Callable[[str], None]) -> dict[str, Any]:
        """Train and test; see :class:`~drawgrad.studies.engine.Recipe`."""
        return self.measure(
            load_sums(self.data_dir, self.addends, self.digits, self.most, seed), seed, folder, listener
        )

    def measure(self, task: SumsTask, seed: int, folder: Path, listener: Callable[[str], None]) -> dict[str, Any]:
        """Train and test on sums that are there already."""
        lesson = SumLesson(task, TEACHERS[self.teacher], self.move)
        trained = train(lesson, _lenet, Training(self.epochs, self.batch), seed, folder, listener)
        listener("adding")
        with torch.no_grad():
            logits = torch.cat([trained.reader(part) for part in task.test.images(slice(None)).split(TOGETHER)])
        log = logits.double().log_softmax(-1)
        shaped = log.reshape(*task.test.pixels.shape[:3], 10)
        sums = most_likely_sum(column_sums(shaped), self.addends)
        return {
            "sums": float((sums == task.test.totals).double().mean()),
            "digits": float((log.argmax(-1) == task.test_digits).double().mean()),
            "curve": trained.curve,
        }


def _lenet() -> Reader:
    return Reader(10, channels=(6, 16), hidden=(120, 84))
