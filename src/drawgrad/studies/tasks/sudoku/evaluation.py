"""What a reader is worth: boards solved in four ways, and how soft answers grow hard as the temperature falls."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import nn

from drawgrad._typing import Bool, Int, Tensor
from drawgrad.logic import SoftDomains, Status, sudoku
from drawgrad.studies.tasks.reading.network import read
from drawgrad.studies.tasks.sudoku.data import Boards, Digits

__all__ = ["TEMPERATURES", "Annealed", "Solved", "annealed", "evaluate", "single"]

TEMPERATURES = (2.0, 1.4, 1.0, 0.7, 0.5, 0.35, 0.25, 0.18, 0.12, 0.08, 0.05)
ROUNDS = 4
NODES = 20_000
"""Decisions that the search for the most likely solution may take on a board."""
READINGS = 32
"""The most probable ones of a board, among which one is sought with which the puzzle has a single solution."""
LEAST = 1e-300
"""What stands for the largest element of an empty domain."""


@dataclass(frozen=True)
class Annealed:
    """Annealing, seen at each temperature.

    Args:
        right: Share of boards whose cells are all the likeliest values of the solution.
        gap: How far the soft domains are from the most likely solution: the mean over all cells of the probability of
            other values, one where no solution was found.
    """

    right: list[float]
    gap: list[float]


@dataclass(frozen=True)
class Solved:
    """Shares of boards that came out exactly as the solution.

    Args:
        read: Each given is taken for its likeliest digit, and the board is solved.
        annealed: Soft propagation while the temperature falls; each cell's likeliest value at the end.
        likely: The most likely solution under what was read, exactly.
        limited: Share of these searches that ended at the limit of nodes.
        single: The solution of the most probable reading with which the puzzle has one solution and no other; the
            most likely solution where there is none.
        determined: No image is seen: the givens follow from the rules and the values of the blank cells.
        annealing: How the second one came about.
    """

    read: float
    annealed: float
    likely: float
    limited: float
    single: float
    determined: float
    annealing: Annealed


def evaluate(reader: nn.Module, boards: Boards, digits: Digits, seed: int) -> Solved:
    """Write boards by hand, read them, and solve them in four ways.

    Args:
        reader: The reader.
        boards: Puzzles with one solution.
        digits: Where the images come from.
        seed: Of which images are drawn.
    """
    board = sudoku()
    told = boards.told(digits, torch.Generator().manual_seed(seed))
    probs = read(reader, told.images).exp()
    domains = board.domains(probs, where=told.given)
    cells = domains.most_likely().masked_fill(~told.given, -1)
    direct = board.solve(board.fixed(cells)).first()
    likely = board.most_likely(domains, nodes=NODES)
    answer = likely.first()
    alone = single(domains, told.given)
    determined = board.solve(board.fixed(told.blanks), limit=2).counts == 1
    right, gap = [], []
    for cold in annealed(domains):
        right.append(_share(cold.most_likely(), boards))
        chosen = cold.log_prob(answer.clamp_min(0)).exp()
        gap.append(float((1 - chosen * likely.solved()[:, None]).mean()))
    return Solved(
        _share(direct, boards),
        right[-1],
        _share(answer, boards),
        float((likely.status != Status.COMPLETE).double().mean()),
        _share(torch.where(alone < 0, answer, alone), boards),
        float(determined.double().mean()),
        Annealed(right, gap),
    )


def annealed(domains: SoftDomains) -> Iterator[SoftDomains]:
    """The domains of all cells after soft propagation at each of the falling temperatures.

    At temperature T elements are taken to the power 1/T, and each propagation starts from what the one before it left,
    so that domains grow hard together.

    Args:
        domains: What was read.
    """
    for temperature in TEMPERATURES:
        elements = domains.elements / domains.elements.amax(-1, keepdim=True).clamp_min(LEAST)
        cold = sudoku().propagate(SoftDomains(elements ** (1 / temperature)), rounds=ROUNDS)
        yield cold
        domains = SoftDomains(cold.elements**temperature)


def single(domains: SoftDomains, given: Bool[Tensor, "boards 81"], count: int = READINGS) -> Int[Tensor, "boards 81"]:
    """The solution of the most probable reading with which a puzzle has one solution and no other.

    Args:
        domains: What was read.
        given: Where the givens are.
        count: How many readings of each board are tried, the most probable ones.

    Returns:
        The cells' values; -1 where no reading has a single solution.
    """
    board = sudoku()
    log = domains.log_probs()
    # A beam as wide as the number that is wanted finds the most probable readings exactly.
    scores, cells = log.new_zeros(len(log), 1), torch.zeros(len(log), 1, 0, dtype=torch.int64)
    for cell in range(log.shape[1]):
        # A blank cell has one reading.
        blank = log.new_full((9,), -torch.inf).index_fill(0, torch.tensor([0]), 0.0)
        each = scores[..., None] + torch.where(given[:, cell, None], log[:, cell], blank)[:, None]
        scores, place = each.flatten(1).topk(min(count, each[0].numel()))
        before = cells.gather(1, (place // 9)[..., None].expand(-1, -1, cell))
        cells = torch.cat([before, (place % 9)[..., None]], -1)
    found = board.solve(board.fixed(cells.masked_fill(~given[:, None], -1)), limit=2, nodes=NODES)
    alone = (found.counts == 1) & (found.status == Status.COMPLETE) & (scores > -torch.inf)
    first = alone.long().argmax(-1, keepdim=True)
    solution = found.first().take_along_dim(first[..., None], 1).squeeze(1)
    return torch.where(alone.any(-1, keepdim=True), solution, -1)


def _share(found: Int[Tensor, "boards 81"], boards: Boards) -> float:
    return float((found == boards.solutions).all(-1).double().mean())
