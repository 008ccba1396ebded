"""Boards and digits small enough for tests."""

from __future__ import annotations

import torch

from drawgrad.logic import read_sudoku, sudoku
from drawgrad.studies.tasks.sudoku.data import Boards, Digits, Handwritten

ANSWER = "534678912672195348198342567859761423426853791713924856961537284287419635345286179"


def boards(count: int = 12, blanks: int = 30, seed: int = 0) -> Boards:
    """Puzzles with one solution each: a board with its digits exchanged; the blanks lie at random."""
    generator = torch.Generator().manual_seed(seed)
    answer = torch.tensor(read_sudoku(ANSWER))
    tries = 4 * count
    solutions = torch.stack([torch.randperm(9, generator=generator)[answer] for _ in range(tries)])
    blank = torch.stack([torch.randperm(81, generator=generator) < blanks for _ in range(tries)])
    puzzles = solutions.masked_fill(blank, -1)
    single = sudoku().solve(sudoku().fixed(puzzles), limit=2).counts == 1
    assert single.sum() >= count
    return Boards(puzzles[single][:count], solutions[single][:count])


def digits(copies: int = 3) -> Digits:
    """Images of which each shows its digit as one bright row."""
    labels = torch.arange(1, 10).repeat(copies)
    pixels = torch.zeros(len(labels), 28, 28, dtype=torch.uint8)
    pixels[torch.arange(len(labels)), labels * 3 - 2] = 255
    return Digits.of(pixels.flatten(1), labels)


def handwritten() -> Handwritten:
    """A task with one level."""
    return Handwritten(digits(), digits(), boards(), {"kids": boards(seed=1)})
