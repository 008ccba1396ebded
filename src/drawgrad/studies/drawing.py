"""What the figures of the studies have in common: colors, axes, and names that stand where curves end."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["COLORS", "FADED", "INK", "RULE", "label_ends", "plain_axes"]

INK, FADED, RULE = "#1f2430", "#7b8190", "#e4e6ec"
COLORS = ("#7b8190", "#3f6bbd", "#d1495b", "#3c7a57", "#c8892b", "#7a4fa3", "#3aa0a8", "#14275a", "#a0522d")
"""Of curves, in order; the first one is for what the others are compared with."""
GAP = 0.052
"""Of two names, in axes as high as the exhibits have them."""


def plain_axes(axes: Axes, title: str, x: str, y: str) -> None:
    """Title, labels and light lines, the same in all figures."""
    axes.set_title(title, loc="left", fontsize=10, fontweight="bold")
    axes.set_xlabel(x)
    axes.set_ylabel(y)
    axes.grid(which="major", color=RULE, lw=0.7)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)


def label_ends(axes: Axes, ends: Sequence[tuple[str, float, str]], gap: float = GAP) -> None:
    """Name curves to the right of the axes, at the heights where they end, moved apart where they would overlap.

    Args:
        axes: With their final limits.
        ends: Name, last value and color of every curve.
        gap: Least distance of two names, as a part of the height of the axes.
    """
    to_height = axes.transData + axes.transAxes.inverted()
    right = axes.get_xlim()[1]
    heights = sorted(((float(to_height.transform((right, value))[1]), name, color) for name, value, color in ends))
    places: list[float] = []
    for height, _, _ in heights:
        places.append(max(height, places[-1] + gap) if places else max(height, 0.0))
    # What was pushed beyond the top moves down again, with those below it.
    limit = 1.0
    for index in reversed(range(len(places))):
        places[index] = min(places[index], limit)
        limit = places[index] - gap
    for place, (_, name, color) in zip(places, heights, strict=True):
        axes.annotate(name, (1, place), xycoords="axes fraction", xytext=(6, 0), textcoords="offset points",
                      va="center", color=color, fontsize=8.5)  # fmt: skip
