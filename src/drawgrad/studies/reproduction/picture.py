"""The figure of a table: how it is drawn from what was found, and the usual one, printed figures beside ours."""

from __future__ import annotations

import statistics
import textwrap
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from drawgrad.studies.drawing import COLORS, INK, plain_axes
from drawgrad.studies.reproduction.cell import Cell
from drawgrad.studies.reproduction.significance import error_bar

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
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


PANELS = 4
"""Side by side, at most."""
TITLE = 26
"""Letters of a line of a panel's title, as many as the panel is wide."""


def usual_picture(found: Found) -> Picture:
    """Printed figures as hollow markers and ours as full ones, a panel for each row that has one of ours."""
    shelves = _shelves(found)
    width = 1.6 + 2.6 * max(map(len, shelves))
    height = 0.9 + sum(0.85 + 0.24 * len(_methods(found, shelf)) for shelf in shelves)
    return Picture(_draw, _signs, (max(7.0, width), max(3.0, height)))


def _shelves(found: Found) -> list[list[str]]:
    """The rows with a figure of ours, or all if there is none yet: as many as stand side by side in each."""
    every = list(dict.fromkeys(cell.row for cell in found.cells))
    done = {cell.row for cell in found.cells if found.values(cell.row, cell.column)}
    rows = [row for row in every if row in done] or every
    return [rows[begin : begin + PANELS] for begin in range(0, len(rows), PANELS)]


def _methods(found: Found, rows: Sequence[str]) -> list[str]:
    """The columns that have something to show in one of these rows, or all if none has."""
    shown = [cell for cell in found.cells if cell.row in rows]
    known = [cell for cell in shown if cell.printed is not None or found.values(cell.row, cell.column)]
    return list(dict.fromkeys(cell.column for cell in known or shown))


def _signs() -> list[Artist]:
    from matplotlib.lines import Line2D

    return [
        Line2D([], [], marker="o", ls="", mfc="white", mec=INK, label="printed"),
        Line2D([], [], marker="o", ls="", color=COLORS[1], label="ours, mean and standard error over seeds"),
    ]


def _draw(figure: Figure, found: Found) -> None:
    shelves = _shelves(found)
    heights = [len(_methods(found, shelf)) for shelf in shelves]
    panels = figure.subplots(
        len(shelves), len(shelves[0]), squeeze=False, sharey="row", gridspec_kw={"height_ratios": heights}
    )
    for row_of_panels, shelf in zip(panels, shelves, strict=True):
        for axes in row_of_panels[len(shelf) :]:
            axes.set_visible(False)
        methods = _methods(found, shelf)
        for axes, row in zip(row_of_panels, shelf, strict=False):
            _draw_panel(axes, found, row, methods)


def _draw_panel(axes: Axes, found: Found, row: str, methods: Sequence[str]) -> None:
    for cell in found.cells:
        if cell.row != row or cell.column not in methods:
            continue
        place, values = methods.index(cell.column), list(found.values(row, cell.column).values())
        if values:
            axes.errorbar(statistics.fmean(values), place, xerr=error_bar(values), fmt="o", color=COLORS[1], ms=5)
        if cell.printed is not None:
            axes.plot(cell.printed, place, "o", mfc="none", mec=INK, ms=6)
    axes.set_yticks(range(len(methods)), methods)
    axes.set_ylim(len(methods) - 0.5, -0.5)
    plain_axes(axes, textwrap.fill(row, TITLE), found.unit, "")
