"""What an exhibit shows: a table, a figure, and what they say; all of it made from one measurement."""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from drawgrad._tables import markdown_table, text_table
from drawgrad.studies.drawing import FADED, INK, titled
from drawgrad.studies.engine import Recipe
from drawgrad.studies.files import write_atomically

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.figure import Figure

__all__ = ["ExhibitRecipe", "Page"]


@dataclass(frozen=True)
class Page:
    """A measurement, laid out.

    Args:
        title: One line.
        headings: Of the table's columns.
        rows: Of the table; the first column is text, the others are numbers.
        note: What the numbers are, and what they say.
        draw: Draws the figure below its title.
        signs: What lines and markers of the figure mean.
        size: Of the figure, in inches.
    """

    title: str
    headings: Sequence[str]
    rows: Sequence[Sequence[str]]
    note: str
    draw: Callable[[Figure], None]
    signs: Callable[[], Sequence[Artist]]
    size: tuple[float, float]

    def text(self) -> str:
        """The table for a terminal."""
        return text_table(self.headings, self.rows)

    def markdown(self) -> str:
        """The table in Markdown with its title and note."""
        return f"# {self.title}\n\n{markdown_table(self.headings, self.rows)}\n\n{self.note}\n"

    def save(self, folder: Path) -> Path:
        """Write `table.md` and `figure.png` into a folder; returns where the figure is."""
        from matplotlib import rc_context
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure

        style: Any = {"font.size": 9, "text.color": INK, "axes.labelcolor": INK, "axes.edgecolor": FADED,
                 "xtick.color": INK, "ytick.color": INK}  # fmt: skip
        content = io.BytesIO()
        with rc_context(style):
            # Made without pyplot: no global figure, no display, safe in any thread.
            figure = Figure(figsize=self.size, facecolor="white", layout="constrained")
            FigureCanvasAgg(figure)
            self.draw(figure)
            titled(figure, self.title, self.signs())
            figure.savefig(content, format="png", dpi=130)
        write_atomically(folder / "table.md", self.markdown())
        write_atomically(folder / "figure.png", content.getvalue())
        return folder / "figure.png"


class ExhibitRecipe(Recipe, Protocol):
    """A recipe whose results can be laid out."""

    def page(self, result: dict[str, Any]) -> Page:
        """The page of what :meth:`run` found, or of what was read back from a file of it."""
