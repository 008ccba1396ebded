"""The picture of a handwritten board: givens, the soft domains after some rounds of propagation, and the solution."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import torch

from drawgrad.logic import SoftDomains, sudoku
from drawgrad.studies.drawing import COLORS, FADED, INK, RULE

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["ROUNDS", "draw_board"]

ROUNDS = (0, 1, 2, 5)
"""After which the domains are shown."""
LEAST = 0.03
"""Probability from which on a value is shown."""
BLANK = COLORS[1]


def draw_board(panels: Sequence[Axes], example: dict[str, Any]) -> None:
    """Draw a board.

    Args:
        panels: One for the givens, one for each of :data:`ROUNDS` but the first, and one for the solution.
        example: As :class:`~drawgrad.studies.tasks.sudoku.recipe.SudokuRecipe` leaves it.
    """
    puzzle, solution = torch.tensor(example["puzzle"]), example["solution"]
    given = puzzle >= 0
    domains = sudoku().domains(torch.tensor(example["probs"], dtype=torch.float64), where=given)
    for axes in panels:
        _lines(axes)
    first, *middle, last = panels
    first.set_title("handwritten", loc="left", fontsize=9)
    for cell, pixels in zip(given.nonzero()[:, 0].tolist(), example["pixels"], strict=True):
        row, column = divmod(cell, 9)
        image = torch.tensor(pixels).reshape(28, 28).numpy()
        first.imshow(image, cmap="Greys", extent=(column + 0.06, column + 0.94, row + 0.94, row + 0.06), zorder=0)
    for axes, rounds in zip(middle, ROUNDS[1:], strict=True):
        axes.set_title(f"after {rounds} round{'s' if rounds > 1 else ''}", loc="left", fontsize=9)
        _candidates(axes, sudoku().propagate(domains, rounds=rounds), given.tolist())
    last.set_title("the most likely solution", loc="left", fontsize=9)
    found = sudoku().most_likely(domains).first().tolist()
    for cell, value in enumerate(found):
        row, column = divmod(cell, 9)
        color = "#c02030" if value != solution[cell] else INK if given[cell] else BLANK
        last.text(column + 0.5, row + 0.52, str(value + 1), ha="center", va="center", fontsize=9, color=color)


def _candidates(axes: Axes, domains: SoftDomains, given: Sequence[bool]) -> None:
    """Each value at its place of three by three, as dark as it is probable; alone in its cell, it is large."""
    for cell, probs in enumerate(domains.log_probs().exp().tolist()):
        row, column = divmod(cell, 9)
        color = INK if given[cell] else BLANK
        alone = max(probs) > 1 - LEAST
        for value, prob in enumerate(probs):
            if prob >= LEAST:
                x, y = (0.5, 0.52) if alone else (0.2 + 0.3 * (value % 3), 0.22 + 0.3 * (value // 3))
                axes.text(column + x, row + y, str(value + 1), ha="center", va="center", color=color,
                          fontsize=9 if alone else 4.6, alpha=0.3 + 0.7 * prob)  # fmt: skip


def _lines(axes: Axes) -> None:
    axes.set(xlim=(0, 9), ylim=(9, 0), xticks=[], yticks=[], aspect="equal")
    for place in range(10):
        thick = place % 3 == 0
        for line in (axes.axhline, axes.axvline):
            line(place, color=FADED if thick else RULE, lw=1.2 if thick else 0.7, zorder=1)
    axes.spines[:].set_visible(False)
