"""What a reader is worth: digits read, and boards solved in three ways."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from drawgrad._typing import Float, Tensor
from drawgrad.logic import SoftDomains, sudoku
from drawgrad.studies.tasks.sudoku.data import Boards, Digits
from drawgrad.studies.tasks.sudoku.training import Reader, handwritten

__all__ = ["TEMPERATURES", "Solved", "accuracy", "annealed", "evaluate"]

TEMPERATURES = (1.0, 0.7, 0.5, 0.35, 0.25, 0.18, 0.12, 0.08)
ROUNDS = 4
NODES = 20_000
"""Decisions that the search for the most likely solution may take on a board."""


@dataclass(frozen=True)
class Solved:
    """Shares of boards that came out exactly as the solution.

    Args:
        read: Each given is taken for its likeliest digit, and the board is solved.
        annealed: Soft propagation while the temperature falls; each cell's likeliest value at the end.
        likely: The most likely solution under what was read, exactly.
        limited: Share of the last one's searches that ended at the limit of nodes.
    """

    read: float
    annealed: float
    likely: float
    limited: float


@torch.no_grad()
def accuracy(reader: Reader, digits: Digits) -> float:
    """The share of digits that a reader reads rightly."""
    found = torch.cat([reader(part).argmax(-1) for part in digits.pixels.split(1000)])
    return float((found == digits.labels).double().mean())


@torch.no_grad()
def evaluate(reader: Reader, boards: Boards, digits: Digits, seed: int) -> Solved:
    """Write boards by hand, read them, and solve them in three ways.

    Args:
        reader: The reader.
        boards: Puzzles with one solution.
        digits: Where the images come from.
        seed: Of which images are drawn.
    """
    board, given = sudoku(), boards.given
    images, _ = handwritten(boards, digits, torch.Generator().manual_seed(seed))
    logits = torch.cat([reader(part) for part in images.split(1000)])
    probs = logits.double().softmax(-1)
    cells = torch.full(given.shape, -1).masked_scatter(given, probs.argmax(-1))
    read = board.solve(board.fixed(cells)).first()
    likely = board.most_likely(board.domains(probs, where=given), nodes=NODES)
    return Solved(
        _share(read, boards),
        _share(annealed(probs, boards), boards),
        _share(likely.first(), boards),
        float((likely.status != 0).double().mean()),
    )


def annealed(probs: Float[Tensor, "givens 9"], boards: Boards) -> Tensor:
    """The values of all cells after soft propagation at falling temperatures, `(boards, 81)`.

    At temperature T a given's probabilities are taken to the power 1/T, and each propagation starts from what the one
    before it left, so that domains grow hard together.
    """
    board = sudoku()
    domains = board.domains(probs, where=boards.given)
    for temperature in TEMPERATURES:
        elements = domains.elements / domains.elements.amax(-1, keepdim=True).clamp_min(1e-300)
        domains = board.propagate(SoftDomains(elements ** (1 / temperature)), rounds=ROUNDS)
        domains = SoftDomains(domains.elements**temperature)
    return domains.most_likely()


def _share(found: Tensor, boards: Boards) -> float:
    return float((found == boards.solutions).all(-1).double().mean())
