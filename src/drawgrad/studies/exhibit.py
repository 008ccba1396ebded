"""What a study shows: a table, a figure, and the numbers behind them."""

from __future__ import annotations

import io
import json
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from drawgrad.diagnostics import Estimate
from drawgrad.studies.files import write_atomically

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["COLORS", "FADED", "INK", "RULE", "Exhibit", "label_ends", "plain_axes", "scaled"]

INK, FADED, RULE = "#1f2430", "#7b8190", "#e4e6ec"
COLORS = ("#7b8190", "#3f6bbd", "#d1495b", "#3c7a57", "#c8892b", "#7a4fa3", "#3aa0a8", "#14275a", "#a0522d")
"""Of curves, in order; the first one is for what the others are compared with."""
GAP = 0.052
"""Least distance of two labels, as a part of the height of the axes."""


@dataclass(frozen=True)
class Exhibit:
    """The result of a study.

    Args:
        name: Of its files.
        title: One line.
        headings: Of the table's columns.
        rows: Of the table; the first column is text, the others are numbers.
        note: What the numbers are, and what they say.
        data: The numbers, as JSON takes them.
        draw: Draws the figure.
        size: Of the figure, in inches.
    """

    name: str
    title: str
    headings: Sequence[str]
    rows: Sequence[Sequence[str]]
    note: str
    data: dict[str, Any]
    draw: Callable[[Figure], None]
    size: tuple[float, float]

    def markdown(self) -> str:
        """The table with its title and note."""
        table = [self.headings, ["---", *["---:"] * (len(self.headings) - 1)], *self.rows]
        lines = [f"| {' | '.join(row)} |" for row in table]
        return "\n".join([f"# {self.title}", "", *lines, "", self.note, ""])

    def save(self, folder: Path) -> list[Path]:
        """Write `<name>.png`, `.md` and `.json` into a folder; returns where they are."""
        from matplotlib import rc_context
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure

        folder.mkdir(parents=True, exist_ok=True)
        style: Any = {"font.size": 9, "text.color": INK, "axes.labelcolor": INK, "axes.edgecolor": FADED,
                 "xtick.color": INK, "ytick.color": INK}  # fmt: skip
        with rc_context(style):
            # Made without pyplot: no global figure, no display, safe in any thread.
            figure = Figure(figsize=self.size, facecolor="white", layout="constrained")
            FigureCanvasAgg(figure)
            self.draw(figure)
            picture, table, data = (folder / f"{self.name}.{ending}" for ending in ("png", "md", "json"))
            content = io.BytesIO()
            figure.savefig(content, format="png", dpi=130)
            write_atomically(picture, content.getvalue())
        write_atomically(table, self.markdown())
        write_atomically(data, json.dumps(self.data, indent=2) + "\n")
        return [picture, table, data]


def scaled(found: Estimate, unit: float) -> str:
    """A number in another unit, such as 0.001, with its standard error, of which one digit is shown; two after a 1.

    Example:
        >>> scaled(Estimate(0.1282, 0.0077), unit=0.001), scaled(Estimate(0.00203, 0.00011), unit=0.001)
        ('128 ± 8', '2.03 ± 0.11')
    """
    value, error = found.value / unit, found.error / unit
    if error == 0:
        return f"{value:.3g}"
    exponent = math.floor(math.log10(error))
    digits = 1 - exponent if error < 2 * 10.0**exponent else -exponent
    return f"{round(value, digits):.{max(digits, 0)}f} ± {round(error, digits):.{max(digits, 0)}f}"


def plain_axes(axes: Axes, title: str, x: str, y: str) -> None:
    """Title, labels and light lines, the same in all figures."""
    axes.set_title(title, loc="left", fontsize=10, fontweight="bold")
    axes.set_xlabel(x)
    axes.set_ylabel(y)
    axes.grid(which="major", color=RULE, lw=0.7)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)


def label_ends(axes: Axes, ends: Sequence[tuple[str, float, str]]) -> None:
    """Name curves to the right of the axes, at the heights where they end, moved apart where they would overlap.

    Args:
        axes: With their final limits.
        ends: Name, last value and colour of every curve.
    """
    to_height = axes.transData + axes.transAxes.inverted()
    right = axes.get_xlim()[1]
    heights = sorted(((float(to_height.transform((right, value))[1]), name, color) for name, value, color in ends))
    places: list[float] = []
    for height, _, _ in heights:
        places.append(max(height, places[-1] + GAP) if places else max(height, 0.0))
    # What was pushed beyond the top moves down again, with those below it.
    limit = 1.0
    for index in reversed(range(len(places))):
        places[index] = min(places[index], limit)
        limit = places[index] - GAP
    for place, (_, name, color) in zip(places, heights, strict=True):
        axes.annotate(name, (1, place), xycoords="axes fraction", xytext=(6, 0), textcoords="offset points",
                      va="center", color=color, fontsize=8.5)  # fmt: skip
