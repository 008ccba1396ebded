"""The figure of a table: how it is drawn from what was found, and the usual one, printed figures beside ours."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from drawgrad.studies.drawing import COLORS, INK, plain_axes
from drawgrad.studies.reproduction.cell import Cell
from drawgrad.studies.reproduction.significance import standard_error

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.figure import Figure

__all__ = ["Found", "Picture", "usual_picture"]


class Found(Protocol):
    """What a figure shows."""

    @property
    def cells(self) -> tuple[Cell, ...]:
        """Those that were asked for."""

    @property
    def unit(self) -> str:
        """Of the figures."""

    def values(self, row: str, column: str) -> dict[int, float]:
        """What the runs of a cell measured, by seed; none if it is not done."""


@dataclass(frozen=True)
class Picture:
    """A figure of a table.

    Args:
        draw: Draws it.
        signs: What its lines and markers mean.
        size: In inches.
    """

    draw: Callable[[Figure, Found], None]
    signs: Callable[[], Sequence[Artist]]
    size: tuple[float, float]


def usual_picture(found: Found) -> Picture:
    """Printed figures as hollow markers and ours as full ones, a panel for each row that has one of ours."""
    return Picture(_draw, _signs, (max(7.0, 1.6 + 2.6 * min(len(_rows(found)), 4)), 5.2))


def _rows(found: Found) -> list[str]:
    every = list(dict.fromkeys(cell.row for cell in found.cells))
    done = {cell.row for cell in found.cells if found.values(cell.row, cell.column)}
    return [row for row in every if row in done] or every


def _signs() -> list[Artist]:
    from matplotlib.lines import Line2D

    return [
        Line2D([], [], marker="o", ls="", mfc="white", mec=INK, label="printed"),
        Line2D([], [], marker="o", ls="", color=COLORS[1], label="ours, mean and standard error over seeds"),
    ]


def _draw(figure: Figure, found: Found) -> None:
    rows = _rows(found)
    columns = list(dict.fromkeys(cell.column for cell in found.cells))
    panels = figure.subplots(-(-len(rows) // 4), min(len(rows), 4), squeeze=False, sharey=True)
    for axes in panels.flat[len(rows) :]:
        axes.set_visible(False)
    for axes, row in zip(panels.flat, rows, strict=False):
        for place, column in enumerate(columns):
            values = list(found.values(row, column).values())
            if values:
                error = standard_error(values) if len(values) > 1 else 0.0
                axes.errorbar(statistics.fmean(values), place, xerr=error, fmt="o", color=COLORS[1], ms=5)
        for cell in found.cells:
            if cell.row == row and cell.printed is not None:
                axes.plot(cell.printed, columns.index(cell.column), "o", mfc="none", mec=INK, ms=6)
        axes.set_yticks(range(len(columns)), columns)
        axes.set_ylim(len(columns) - 0.5, -0.5)
        plain_axes(axes, row, found.unit, "")
