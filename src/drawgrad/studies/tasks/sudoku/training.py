"""Train a reader of digits from solved boards: no image is ever labeled, only the values of blank cells are told."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import nn
from torch.nn.functional import log_softmax

from drawgrad._checks import check_count
from drawgrad._typing import Float, Tensor
from drawgrad.logic import sudoku
from drawgrad.schedules import cosine
from drawgrad.studies.tasks.sudoku.data import Boards, Digits, Handwritten

__all__ = ["Progress", "Reader", "SudokuConfig", "blank_cell_loss", "train_reader"]

LEAST = -30.0
"""Log-probability below which a blank cell's value is taken for ruled out, and gives no gradient."""

SHIFT = 2
"""Pixels by which all images of a step are moved, at most: digits are wider apart than that from the margin."""


@dataclass(frozen=True)
class SudokuConfig:
    """Settings of a training run.

    Args:
        steps: Of the optimizer.
        batch: Boards a step.
        rounds: Of soft propagation.
        lr: Highest learning rate of Adam; it falls along a cosine to zero.
        seed: Of weights, boards and images.
        train_levels: Whose boards are trained on.

    Raises:
        ValueError: If a number is out of its range.
    """

    steps: int = 1200
    batch: int = 32
    rounds: int = 3
    lr: float = 2e-3
    seed: int = 0
    train_levels: tuple[str, ...] = ("kids", "easy")

    def __post_init__(self) -> None:
        for name in ("steps", "batch", "rounds"):
            check_count(getattr(self, name), name, minimum=1)
        if not 0 < self.lr < 1:
            raise ValueError(f"lr must be above 0 and below 1, but it is {self.lr!r}; 0.002 is usual")


class Reader(nn.Module):
    """A small convolutional network: logits of the nine digits for an image of 28 x 28."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(1, 24, 5, stride=2), nn.ReLU(),
            nn.Conv2d(24, 48, 5, stride=2), nn.ReLU(),
            nn.Flatten(), nn.Linear(48 * 4 * 4, 128), nn.ReLU(), nn.Linear(128, 9),
        )  # fmt: skip

    def forward(self, images: Float[Tensor, "count 1 28 28"]) -> Float[Tensor, "count 9"]:
        """The logits."""
        return self.layers(images)


@dataclass(frozen=True)
class Progress:
    """Where a run is: the step, its loss, and how many images of the batch were read rightly.

    The last number is for the spectator alone: nothing learns from it.
    """

    step: int
    loss: float
    accuracy: float


def blank_cell_loss(logits: Float[Tensor, "givens 9"], boards: Boards, rounds: int) -> Float[Tensor, ""]:
    """The mean negative log-probability of the blank cells' values after soft propagation from what was read.

    Args:
        logits: Of the givens of all boards, in order.
        boards: The boards. Of a puzzle only the places of its givens are used, never their values.
        rounds: Of propagation.
    """
    board = sudoku()
    domains = board.domains(log_softmax(logits, -1).exp(), where=boards.given)
    found = board.propagate(domains, rounds=rounds).log_prob(boards.solutions)
    return -found[~boards.given].clamp_min(LEAST).mean()


def train_reader(
    config: SudokuConfig, data: Handwritten, listener: Callable[[Progress], None] = lambda progress: None
) -> Reader:
    """Train a reader.

    Args:
        config: The settings.
        data: Digits and boards.
        listener: Told of every step.

    Returns:
        The trained reader.
    """
    generator = torch.Generator().manual_seed(config.seed)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(config.seed)
        reader = Reader()
    optimizer = torch.optim.Adam(reader.parameters(), lr=config.lr)
    rate = cosine(config.lr, 0.0, config.steps)
    for step in range(config.steps):
        boards = data.train.take(torch.randint(len(data.train.puzzles), (config.batch,), generator=generator))
        images, values = handwritten(boards, data.train_digits, generator)
        shift = torch.randint(-SHIFT, SHIFT + 1, (2,), generator=generator).tolist()
        images = images.roll(shift, (-2, -1))
        for group in optimizer.param_groups:
            group["lr"] = rate(step)
        logits = reader(images)
        loss = blank_cell_loss(logits, boards, config.rounds)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        right = float((logits.argmax(-1) == values).float().mean())
        listener(Progress(step + 1, loss.item(), right))
    return reader


def handwritten(boards: Boards, digits: Digits, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """An image for each given of the boards, in order, and its value."""
    values = boards.puzzles[boards.given]
    return digits.draw(values, generator), values
