"""Boards whose givens are handwritten: digits of MNIST put into the cells of Sudokus."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch

from drawgrad._typing import Bool, Float, Int, Tensor
from drawgrad.studies.data import load
from drawgrad.studies.data.labels import load_mnist_labels
from drawgrad.studies.data.sudoku import load_boards

__all__ = ["TEST_BOARDS", "Boards", "Digits", "Handwritten", "Told", "load_handwritten"]

TEST_BOARDS = 500
"""The last ones of each level's file; training takes from those before them."""


@dataclass(frozen=True)
class Digits:
    """Images of the digits 1 to 9, sorted by digit.

    Args:
        pixels: In [0, 1], shape `(count, 1, 28, 28)`.
        labels: Values 0 to 8 for the digits 1 to 9, ascending.
    """

    pixels: Float[Tensor, "count 1 28 28"]
    labels: Int[Tensor, "count"]

    @classmethod
    def of(cls, pixels: Tensor, labels: Tensor) -> Digits:
        """From bytes `(count, 784)` and the digits that they show; zeros are left out."""
        order = labels.argsort(stable=True)
        order = order[labels[order] > 0]
        return cls(pixels[order].float().div_(255).reshape(-1, 1, 28, 28), labels[order] - 1)

    def draw(self, values: Int[Tensor, "count"], generator: torch.Generator) -> Float[Tensor, "count 1 28 28"]:
        """A random image of each value."""
        counts = self.labels.bincount(minlength=9)
        starts = counts.cumsum(0) - counts
        place = (torch.rand(len(values), generator=generator, dtype=torch.float64) * counts[values]).long()
        return self.pixels[starts[values] + place]


@dataclass(frozen=True)
class Boards:
    """Puzzles and their solutions: values 0 to 8, -1 for a blank cell, shape `(boards, 81)`."""

    puzzles: Int[Tensor, "boards 81"]
    solutions: Int[Tensor, "boards 81"]

    @property
    def given(self) -> Bool[Tensor, "boards 81"]:
        """Where a puzzle shows a value."""
        return self.puzzles >= 0

    def take(self, rows: Tensor | slice) -> Boards:
        """Some of them."""
        return Boards(self.puzzles[rows], self.solutions[rows])

    def told(self, digits: Digits, generator: torch.Generator) -> Told:
        """What is told of these boards, written by hand with random images."""
        blanks = self.solutions.masked_fill(self.given, -1)
        return Told(digits.draw(self.puzzles[self.given], generator), self.given, blanks)


@dataclass(frozen=True)
class Told:
    """All that training is told of some boards: no value of a given is part of it.

    Args:
        images: Of the givens of all boards, in order.
        given: Where the givens are.
        blanks: Values 0 to 8 of the blank cells, -1 for a given, shape `(boards, 81)`.
    """

    images: Float[Tensor, "givens 1 28 28"]
    given: Bool[Tensor, "boards 81"]
    blanks: Int[Tensor, "boards 81"]


@dataclass(frozen=True)
class Handwritten:
    """Digits and boards, in parts for training and testing that share neither."""

    train_digits: Digits
    test_digits: Digits
    train: Boards
    test: dict[str, Boards]


def load_handwritten(data_dir: Path | None, train_levels: tuple[str, ...], test_levels: tuple[str, ...]) -> Handwritten:
    """Load everything.

    Args:
        data_dir: Folder with `mnist/`, which is downloaded if there is no folder, and `sudoku/`, which is not.
        train_levels: Whose boards train, but for the last `TEST_BOARDS` of each.
        test_levels: Whose last `TEST_BOARDS` boards test.

    Raises:
        DataError: If a file is missing or damaged.
    """
    images, (train, test) = load("mnist", data_dir), load_mnist_labels(data_dir)
    levels = {level: Boards(*load_boards(level, data_dir)) for level in dict.fromkeys(train_levels + test_levels)}
    first = [levels[level].take(slice(None, -TEST_BOARDS)) for level in train_levels]
    return Handwritten(
        Digits.of(torch.cat([images.train, images.valid]), train),
        Digits.of(images.test, test),
        Boards(torch.cat([part.puzzles for part in first]), torch.cat([part.solutions for part in first])),
        {level: levels[level].take(slice(-TEST_BOARDS, None)) for level in test_levels},
    )
