"""The result of a comparison: numbers, which render as text, Markdown, JSON and a figure."""

from __future__ import annotations

import json
import math
from dataclasses import asdict, dataclass
from typing import Any

from drawgrad._tables import markdown_table, significant, text_table
from drawgrad.diagnostics.comparison.limits import CONFIDENCE
from drawgrad.diagnostics.comparison.quality import Estimate, Quality
from drawgrad.diagnostics.comparison.rendering.plot import plot_rows
from drawgrad.diagnostics.comparison.rendering.table import COMPARISON, comparison_cells

__all__ = ["Report"]


@dataclass(frozen=True)
class Report:
    """What :func:`~drawgrad.diagnostics.compare` found.

    Attributes:
        rows: one for each estimator, in the order of the list.
        reference: what the gradients were held against, in words.
        reference_norm: its length, and how far it is off (root mean square); the latter is zero if it is exact.
        parameters: how many numbers a gradient has.
        draws: gradients that were asked for.
        resolution: bias that had to be noticed, relative to the length of the reference.
        random_cost: whether the cost differs when it is computed again for the same samples.
    """

    rows: tuple[Quality, ...]
    reference: str
    reference_norm: Estimate
    parameters: int
    draws: int
    resolution: float
    random_cost: bool = False

    def __getitem__(self, name: str) -> Quality:
        """The row of that name."""
        for row in self.rows:
            if row.name == name:
                return row
        raise KeyError(f"{name!r}; the rows are {', '.join(row.name for row in self.rows)}")

    def __str__(self) -> str:
        return self.text()

    def text(self) -> str:
        """A table for the terminal; the standard errors that it leaves out are in the rows."""
        return f"{text_table(COMPARISON, map(comparison_cells, self.rows))}\n{self.note()}"

    def markdown(self) -> str:
        """The table in Markdown."""
        return f"{markdown_table(COMPARISON, map(comparison_cells, self.rows))}\n\n{self.note()}"

    def json(self) -> str:
        """Everything, as JSON; numbers that are not finite are null."""
        return json.dumps(_finite(asdict(self)), indent=2, allow_nan=False)

    def plot(self, axes: Any) -> None:
        """Draw squared bias and variance of every estimator.

        Args:
            axes: axes of a matplotlib figure that you made, about a third of an inch high for each estimator.
        """
        plot_rows(axes, self.rows)

    def note(self) -> str:
        """What the table refers to, in words."""
        about = "" if self.reference_norm.error == 0 else f", off by about {significant(self.reference_norm.error)}"
        verdicts = {row.verdict for row in self.rows}
        others = [row.name for row in self.rows if row.verdict == "other objective"]
        said = (
            f"{self.draws} gradients of each, for {self.parameters} parameters. MSE = mean squared error = "
            "bias² + variance of one;\nS/N = signal to noise; evals = samples z that the cost is given for one.\n"
            f"Reference: {self.reference}, of length {significant(self.reference_norm.value)}{about}.\n"
            f"Bias: none = none seen; in brackets a limit, of {CONFIDENCE:.0%} confidence, at most "
            f"{self.resolution:.0%} of that length;\n? = it may be larger, draw more."
        )
        if self.random_cost:
            said += "\nThe cost is random: it differs when computed again, and all variances hold its noise."
        if "too coarse" in verdicts:
            said += "\nToo coarse: rounding alone may be more; use a wider dtype, or take an offset from the cost."
        if others:
            said += f"\nOther objective: {', '.join(others)} has the gradient of a multi-sample bound."
        return said


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
