"""Digits put into the cells of boards."""

from __future__ import annotations

from pathlib import Path

import torch

from drawgrad.studies.tasks.sudoku.data import TEST_BOARDS, Digits, load_handwritten
from tests.studies.tasks.sudoku.boards import digits


def test_a_drawn_image_shows_its_value() -> None:
    values = torch.arange(9).repeat(5)
    images = digits().draw(values, torch.Generator().manual_seed(0))
    assert torch.equal(images.sum((1, 3)).argmax(-1), 3 * (values + 1) - 2)


def test_all_images_of_a_value_are_drawn() -> None:
    pixels = torch.arange(20.0).reshape(20, 1, 1, 1).expand(20, 1, 28, 28)
    found = Digits(pixels, torch.tensor([0] * 5 + [1] * 15))
    drawn = found.draw(torch.ones(500, dtype=torch.int64), torch.Generator().manual_seed(0))
    assert drawn.unique().tolist() == list(range(5, 20))


def test_zeros_are_left_out() -> None:
    found = Digits.of(torch.zeros(4, 784, dtype=torch.uint8), torch.tensor([3, 0, 1, 0]))
    assert found.labels.tolist() == [0, 2]


def test_training_and_test_share_no_board(shared_data: Path) -> None:
    data = load_handwritten(shared_data, ("kids",), ("kids", "evil"))
    assert len(data.train.puzzles) == 5000 - TEST_BOARDS
    assert [len(boards.puzzles) for boards in data.test.values()] == [TEST_BOARDS, TEST_BOARDS]
    train = {tuple(row) for row in data.train.solutions.tolist()}
    assert not train & {tuple(row) for row in data.test["kids"].solutions.tolist()}
    assert (len(data.train_digits.labels), len(data.test_digits.labels)) == (54_077, 9_020)
