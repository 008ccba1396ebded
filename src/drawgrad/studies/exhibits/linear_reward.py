"""One choice of eight with a linear reward: how the variance of a gradient falls with the evaluations it may take.

The rewards r of the classes are evenly spaced from 0 to 1. The exact gradient for the logits is J(pi) r, and everything
can be checked by hand. Of the estimators that use the reward's gradient, straight-through is exact, draw by draw.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch.distributions import OneHotCategorical

from drawgrad._tables import significant, with_spread
from drawgrad._typing import Float, Tensor
from drawgrad.diagnostics import Estimate, compare
from drawgrad.estimators import (
    CategoricalDisArm,
    Estimator,
    GumbelRao,
    GumbelSoftmax,
    LeaveOneOut,
    Rebar,
    Reinforce,
    ReinMax,
    StraightThrough,
)
from drawgrad.studies.drawing import COLORS, FADED, RULE, label_ends, plain_axes, sign
from drawgrad.studies.exhibits.page import Page
from drawgrad.studies.exhibits.points import Point, log_slope

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.figure import Figure

__all__ = ["ESTIMATORS", "LinearReward", "Measured", "measure"]

CLASSES = 8
TAU = 0.5
ROUNDING = 1e-20
UNIT = 1e-4
"""Of variances and biases in the table."""
COMMON = 2
"""Evaluations that all estimators can do with."""
STRAIGHT = 8
"""From here on leave-one-out is a straight line too: its factor S / (S - 1) is near one."""

# From the number of evaluations of the reward; None where an estimator needs more.
ESTIMATORS: dict[str, Callable[[int], Estimator | None]] = {
    "REINFORCE": lambda n: Reinforce(samples=n),
    "leave-one-out": lambda n: LeaveOneOut(samples=n) if n > 1 else None,
    "DisARM": lambda n: CategoricalDisArm(samples=n // 2) if n > 1 else None,
    "REBAR": lambda n: Rebar(samples=n // 2) if n > 1 else None,
    "Gumbel-Softmax": lambda n: GumbelSoftmax(samples=n, tau=TAU),
    "Gumbel-Rao": lambda n: GumbelRao(samples=n, tau=TAU),
    "ReinMax": lambda n: ReinMax(samples=n),
    "straight-through": lambda n: StraightThrough(samples=n),
}


@dataclass(frozen=True)
class Measured:
    """What was found.

    Attributes:
        points: For each number of evaluations and estimator.
        norm: Length of the exact gradient.
    """

    points: dict[int, dict[str, Point]]
    norm: float

    def variances(self, name: str) -> dict[int, Estimate]:
        """The variance of one estimator's gradient at each number of evaluations; what is rounding only is zero."""
        return {
            count: of[name].variance if of[name].variance.value > ROUNDING * self.norm**2 else Estimate(0.0, 0.0)
            for count, of in self.points.items()
            if name in of
        }


def measure(seed: int, trials: int, evaluations: tuple[int, ...]) -> Measured:
    """Draw gradients of every estimator.

    Args:
        seed: Of the logits, standard normal, and the draws.
        trials: Gradients for each estimator and number of evaluations.
        evaluations: Evaluations of the reward that one gradient takes.
    """
    generator = torch.Generator().manual_seed(seed)
    logits = torch.randn(CLASSES, generator=generator, dtype=torch.float64)
    rewards = torch.linspace(0, 1, CLASSES, dtype=torch.float64)

    def cost(z: Float[Tensor, "samples draws classes"]) -> Tensor:
        return -(z * rewards).sum(-1)

    points = {}
    for count in evaluations:
        made = {name: make(count) for name, make in ESTIMATORS.items()}
        listed = {name: estimator for name, estimator in made.items() if estimator is not None}
        report = compare(listed, cost, OneHotCategorical(logits=logits), draws=trials, generator=generator)
        points[count] = {row.name: Point.of(row) for row in report.rows}
    return Measured(points, report.reference_norm.value)


@dataclass(frozen=True)
class LinearReward:
    """Variance against evaluations.

    Args:
        trials: Gradients for each estimator and number of evaluations.
        evaluations: Evaluations of the reward that one gradient takes.
    """

    trials: int = 200
    evaluations: tuple[int, ...] = (1, 2, 4, 8, 16, 32, 64, 128)

    def run(self, seed: int, folder: Path, listener: Callable[[str], None]) -> dict[str, Any]:
        """Measure; see :class:`~drawgrad.studies.engine.Recipe`."""
        found = measure(seed, self.trials, self.evaluations)
        points = {str(count): {name: point.plain() for name, point in of.items()} for count, of in found.points.items()}
        return {"norm": found.norm, "points": points}

    def page(self, result: dict[str, Any]) -> Page:
        """The fewest and the most evaluations as a table, all of them as a figure."""
        found = Measured(
            {count: {name: Point.read(plain) for name, plain in result["points"][str(count)].items()}
             for count in self.evaluations},
            result["norm"],
        )  # fmt: skip
        fewest, most = (pick(count for count in self.evaluations if count >= COMMON) for pick in (min, max))
        base = found.variances("REINFORCE")
        rows = []
        for name in ESTIMATORS:
            variances, last = found.variances(name), found.points[most][name]
            noisy = variances[most].value > 0
            rows.append((
                name,
                _scaled(variances[fewest]),
                _scaled(variances[most]),
                f"{base[fewest].value / variances[fewest].value:.1f}x" if noisy else "",
                _slope(variances) if noisy else "",
                _bias(last),
            ))  # fmt: skip
        headings = (
            "estimator", f"variance, {fewest} evaluations", f"variance, {most} evaluations",
            f"less than REINFORCE at {fewest}", f"slope from {STRAIGHT} on", "bias",
        )  # fmt: skip
        note = (
            f"Variance (trace of the covariance) of gradients for {CLASSES} logits, from {self.trials} trials each, "
            "against the evaluations of the reward that a gradient takes; variances and biases times "
            f"{1 / UNIT:.0f}, ± the standard error. The exact gradient has length {found.norm / UNIT:.0f} in this "
            "unit. Averages of independent samples fall with slope -1; leave-one-out falls faster at first, as its "
            f"baseline improves with the samples. DisARM is the categorical one, on a tree. Temperatures are {TAU}; "
            "Gumbel-Rao averages 10 conditional draws a sample, REBAR learned eta and temperature in 100 steps before. "
            "Straight-through is exact for a linear cost, and straight-through Gumbel-Softmax the same as "
            "Gumbel-Softmax."
        )
        return Page(
            "Variance against evaluations: eight classes, linear reward",
            headings, rows, note, lambda figure: _draw(figure, found), _signs, (8.2, 5.4),
        )  # fmt: skip


def _scaled(found: Estimate) -> str:
    return with_spread(found.value / UNIT, found.error / UNIT)


def _bias(point: Point) -> str:
    """The bias where one was seen, else what it is below, with a question mark if more draws could show one."""
    if point.biased:
        return _scaled(point.bias)
    word = "none" if point.verdict == "none seen" else "?"
    return f"{word} < {significant(point.bias_limit / UNIT, 2)}" if point.bias_limit > UNIT else word


def _slope(points: Mapping[int, Estimate]) -> str:
    slope = log_slope({count: point for count, point in points.items() if count >= STRAIGHT})
    return with_spread(slope.value, slope.error, places=2)


def _draw(figure: Figure, found: Measured) -> None:
    axes = figure.add_subplot()
    ends = []
    for color, name in zip(COLORS, ESTIMATORS, strict=False):
        points = {count: point for count, point in found.variances(name).items() if point.value > 0}
        if not points:
            continue
        values, errors = zip(*((point.value, point.error) for point in points.values()), strict=True)
        axes.errorbar(list(points), values, yerr=errors, color=color, marker="o", ms=3.5, lw=1.4, elinewidth=1.2,
                      capsize=2)  # fmt: skip
        ends.append((name, values[-1], color))
    counts = list(found.points)
    axes.set(xscale="log", yscale="log", xticks=counts, xticklabels=counts)
    axes.minorticks_off()
    low, high = axes.get_ylim()
    ends_of_lines = (counts[0] * 0.9, counts[-1] * 1.1)
    for start in (low * 10**power for power in range(12)):
        axes.plot(ends_of_lines, [start * counts[0] / count for count in ends_of_lines], color=RULE, lw=0.9, zorder=0)
    axes.set(ylim=(low, high), xlim=ends_of_lines)
    plain_axes(axes, "", "evaluations of the reward that one gradient takes",
               "variance of the gradient")  # fmt: skip
    axes.grid(visible=False)
    label_ends(axes, ends)


def _signs() -> list[Artist]:
    return [
        sign("variance, with its standard error", marker="o", ms=3.5, lw=1.4),
        sign("slope -1", FADED, lw=0.9),
        sign("straight-through has no variance", ls="none"),
    ]
