"""The figure of a report: squared bias and variance of every estimator, on axes that the caller made."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from drawgrad.diagnostics.comparison.quality import Quality

__all__ = ["plot_rows"]

BIAS, VARIANCE, RULE = "#d1495b", "#3f6bbd", "#e4e6ec"
EMPTY = 0.3
"""How far beyond the smallest number the axis goes, as a factor."""
SMALLEST = 1e-6
"""What is smaller than this, relative to the largest number, is rounding and not shown."""


def plot_rows(axes: Any, rows: Sequence[Quality]) -> None:
    """Draw a line of the figure for each row, best mean squared error on top.

    Args:
        axes: matplotlib's, or anything with the same methods; a figure is none of this package's business.
        rows: what was measured; those without a finite mean squared error are left out.
    """
    # What is not finite has no place on an axis.
    finite = [row for row in rows if math.isfinite(row.mean_squared_error.value)]
    shown = sorted(finite, key=lambda row: row.mean_squared_error.value)
    numbers = [row.variance.value for row in shown] + [
        row.bias_squared.value if row.verdict == "biased" else row.bias_limit**2 for row in shown
    ]
    least = EMPTY * min((number for number in numbers if number > SMALLEST * max(numbers)), default=1.0)
    for place, row in enumerate(shown):
        axes.axhline(place, color=RULE, linewidth=0.8, zorder=0)
        if row.variance.value > least:
            axes.errorbar(
                row.variance.value, place, xerr=_bar(row.variance.value, row.variance.error, least), fmt="o",
                color=VARIANCE, markersize=5, elinewidth=1.2,
            )  # fmt: skip
        if row.verdict == "biased":
            axes.errorbar(
                row.bias_squared.value, place, xerr=_bar(row.bias_squared.value, row.bias_squared.error, least),
                fmt="D", color=BIAS, markersize=4.5, elinewidth=1.2,
            )  # fmt: skip
        else:
            # An arrow: the truth is somewhere to the left.
            axes.plot(row.bias_limit**2, place, marker="<", markersize=5, color=BIAS, alpha=0.45, linestyle="none")
    _legend(axes)
    axes.set_xscale("log")
    axes.set_xlim(left=least)
    axes.set_yticks(range(len(shown)), labels=[row.name for row in shown], fontsize=8)
    axes.set_ylim(len(shown) - 0.5, -0.5)
    axes.set_xlabel("squared norm of the gradient")
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.tick_params(axis="y", length=0)


def _bar(value: float, error: float, least: float) -> list[list[float]]:
    """An error bar that does not reach zero, which a logarithmic axis has not got."""
    return [[min(error, value - min(least, value))], [error]]


def _legend(axes: Any) -> None:
    marks = (
        ("variance", {"marker": "o", "color": VARIANCE}),
        ("squared bias", {"marker": "D", "color": BIAS, "markersize": 4.5}),
        ("none seen: below this", {"marker": "<", "color": BIAS, "alpha": 0.45}),
    )
    handles = [axes.plot([], [], linestyle="none", label=label, **style)[0] for label, style in marks]
    axes.legend(handles=handles, loc="lower left", bbox_to_anchor=(0, 1), ncols=3, frameon=False, fontsize=8)
