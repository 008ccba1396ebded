"""The lesson of boards."""

from __future__ import annotations

import torch

from drawgrad.studies.tasks.sudoku.data import Digits, Handwritten
from drawgrad.studies.tasks.sudoku.teachers import Completions, Teacher
from drawgrad.studies.tasks.sudoku.training import BoardLesson, accuracy, new_reader
from tests.studies.tasks.sudoku.boards import digits, handwritten


class Recording(Teacher):
    """Keeps what it was handed."""

    def __init__(self) -> None:
        self.handed: list[tuple[object, ...]] = []

    def loss(self, logits: torch.Tensor, told: object) -> torch.Tensor:
        self.handed.append((logits, told))
        return logits.sum()


def test_the_loss_is_the_teachers_of_what_is_told_alone() -> None:
    """With the recorded images and what is told beside them, the loss is the same: no label has a part in it."""
    lesson, recording = BoardLesson(handwritten(), Completions()), Recording()
    reader, rows = new_reader(), torch.tensor([3, 1, 2])
    value = lesson.loss(reader, rows, torch.Generator().manual_seed(5))
    BoardLesson(handwritten(), recording).loss(reader, rows, torch.Generator().manual_seed(5))
    ((logits, told),) = recording.handed
    assert torch.equal(value, Completions().loss(logits, told))
    assert torch.equal(told.given, handwritten().train.given[rows])


def test_labels_beyond_the_drawing_of_images_change_nothing() -> None:
    """The test digits' labels are read by the spectator alone."""
    data = handwritten()
    wrong = Digits(data.test_digits.pixels, (data.test_digits.labels + 1) % 9)
    spoiled = Handwritten(data.train_digits, wrong, data.train, data.test)
    reader, rows = new_reader(), torch.arange(4)
    losses = [BoardLesson(each, Completions()).loss(reader, rows, torch.Generator().manual_seed(0))
              for each in (data, spoiled)]  # fmt: skip
    assert torch.equal(*losses)


def test_accuracy() -> None:
    some = digits()
    logits = torch.nn.functional.one_hot(some.labels, 9).float()
    assert accuracy(logits, some) == 1.0
    logits[0] = logits[0].roll(1)
    assert accuracy(logits, some) == 26 / 27
