"""Train a reader of digits from solved boards: no image is ever labeled, only the values of blank cells are told."""

from __future__ import annotations

import torch
from torch import nn

from drawgrad._typing import Float, Int, Tensor
from drawgrad.studies.tasks.reading.network import Reader, moved
from drawgrad.studies.tasks.sudoku.data import Digits, Handwritten
from drawgrad.studies.tasks.sudoku.teachers import Teacher

__all__ = ["BoardLesson", "accuracy", "new_reader"]

WATCHED = 2000
"""Unseen digits that the spectator looks at."""


def new_reader() -> Reader:
    """An untrained reader of the digits 1 to 9."""
    return Reader(9)


class BoardLesson:
    """Boards written by hand, and a teacher.

    Args:
        data: Digits and boards.
        teacher: Makes a loss of what is told.
    """

    def __init__(self, data: Handwritten, teacher: Teacher) -> None:
        self.examples = len(data.train.puzzles)
        self._boards, self._digits, self._teacher = data.train, data.train_digits, teacher
        chosen = torch.randperm(len(data.test_digits.labels), generator=torch.Generator().manual_seed(0))[:WATCHED]
        self._watched = Digits(data.test_digits.pixels[chosen], data.test_digits.labels[chosen])

    def loss(self, reader: nn.Module, rows: Int[Tensor, "batch"], generator: torch.Generator) -> Float[Tensor, ""]:
        """The teacher's loss; the images are moved a little."""
        told = self._boards.take(rows).told(self._digits, generator)
        return self._teacher.loss(reader(moved(told.images, generator)), told)

    def watch(self, reader: nn.Module) -> float:
        """The share of some unseen digits that are read rightly."""
        return accuracy(reader(self._watched.pixels), self._watched)


def accuracy(logits: Float[Tensor, "count 9"], digits: Digits) -> float:
    """The share of digits that are read rightly."""
    return float((logits.argmax(-1) == digits.labels).double().mean())
