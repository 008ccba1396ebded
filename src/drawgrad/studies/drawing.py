"""What the figures of the studies have in common: colors, axes, and names that stand where curves end."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D

__all__ = ["COLORS", "FADED", "INK", "RULE", "label_ends", "plain_axes", "sign", "titled"]

INK, FADED, RULE = "#1f2430", "#7b8190", "#e4e6ec"
COLORS = ("#7b8190", "#3f6bbd", "#d1495b", "#3c7a57", "#c8892b", "#7a4fa3", "#3aa0a8", "#14275a", "#a0522d")
"""Of curves, in order; the first one is for what the others are compared with."""
LINE = 0.155
"""Least distance of two labels, in inches."""


def titled(figure: Figure, title: str, signs: Sequence[Artist]) -> None:
    """Put a title above a figure, and below it what its lines and markers mean.

    Args:
        figure: With constrained layout.
        title: One line.
        signs: Lines and patches as they are in the figure, each with its meaning as its label.
    """
    figure.suptitle(title, x=0.01, ha="left", fontsize=11, fontweight="bold")
    columns = min(len(signs), int(figure.get_figwidth() / 2.3))
    figure.legend(
        handles=list(signs), loc="outside lower left", ncols=columns, frameon=False, fontsize=8, handlelength=2.2
    )


def sign(meaning: str, color: str = INK, **style: Any) -> Line2D:
    """A line or marker of a legend."""
    from matplotlib.lines import Line2D

    return Line2D([], [], color=color, label=meaning, **style)


def plain_axes(axes: Axes, title: str, x: str, y: str) -> None:
    """Title, labels and light lines, the same in all figures."""
    axes.set_title(title, loc="left", fontsize=10, fontweight="bold")
    axes.set_xlabel(x)
    axes.set_ylabel(y)
    axes.grid(which="major", color=RULE, lw=0.7)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)


def label_ends(axes: Axes, ends: Sequence[tuple[str, float, str]]) -> None:
    """Name curves to the right of the axes, at the heights where they end.

    Names that would overlap are moved apart, all of them together as little as can be, and lines lead to them.

    Args:
        axes: With their final limits.
        ends: Name, last value and color of every curve.
    """
    to_height = axes.transData + axes.transAxes.inverted()
    right = axes.get_xlim()[1]
    found = sorted((float(to_height.transform((right, value))[1]), name, color) for name, value, color in ends)
    heights = [(min(max(height, 0.0), 1.0), name, color) for height, name, color in found]
    gap = LINE * axes.figure.dpi / axes.get_window_extent().height
    places = _apart([height for height, _, _ in heights], gap)
    for place, (height, name, color) in zip(places, heights, strict=True):
        line = {"arrowstyle": "-", "color": color, "lw": 0.6, "relpos": (0, 0.5), "shrinkA": 1, "shrinkB": 0}
        axes.annotate(name, (1, height), xycoords="axes fraction", xytext=(1.04, place), textcoords="axes fraction",
                      va="center", color=color, fontsize=8.5, annotation_clip=False,
                      arrowprops=line if abs(place - height) > gap / 4 else None)  # fmt: skip


def _apart(heights: Sequence[float], gap: float) -> list[float]:
    """Places in the same order, at least a gap apart, with the least squared distance to heights from 0 to 1."""
    # Without the gaps it is a regression with places that do not fall: neighbors that would are pooled.
    pools: list[list[float]] = []
    for index, height in enumerate(heights):
        pools.append([height - index * gap])
        while len(pools) > 1 and sum(pools[-2]) / len(pools[-2]) >= sum(pools[-1]) / len(pools[-1]):
            pools[-2:] = [pools[-2] + pools[-1]]
    levels = [sum(pool) / len(pool) for pool in pools for _ in pool]
    top = max(1 - (len(heights) - 1) * gap, 0.0)
    return [min(level, top) + index * gap for index, level in enumerate(levels)]
