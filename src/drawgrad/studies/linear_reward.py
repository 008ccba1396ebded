"""One choice of eight with a linear reward: how the variance of a gradient falls with the evaluations it may take.

The rewards r of the classes are evenly spaced from 0 to 1. The exact gradient for the logits is J(pi) r, and everything
can be checked by hand. Of the estimators that use the reward's gradient, straight-through is exact, draw by draw.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch.distributions import OneHotCategorical

from drawgrad._typing import Float, Tensor
from drawgrad.diagnostics import Estimate, Report, compare
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
from drawgrad.studies.exhibit import COLORS, FADED, RULE, Exhibit, label_ends, plain_axes, scaled

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["LinearReward", "linear_reward", "log_slope", "measure_linear_reward"]

CLASSES = 8
TRIALS = 200
EVALUATIONS = (1, 2, 4, 8, 16, 32, 64, 128)
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
class LinearReward:
    """The measurements.

    Attributes:
        reports: For each number of evaluations.
    """

    reports: dict[int, Report]

    def variances(self, name: str) -> dict[int, Estimate]:
        """The variance of one estimator's gradient at each number of evaluations; what is rounding only is zero."""
        return {
            count: row.variance
            if row.variance.value > ROUNDING * report.reference_norm.value**2
            else Estimate(0.0, 0.0)
            for count, report in self.reports.items()
            for row in report.rows
            if row.name == name
        }


def measure_linear_reward(
    *, seed: int = 0, trials: int = TRIALS, evaluations: Sequence[int] = EVALUATIONS
) -> LinearReward:
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

    reports = {}
    for count in evaluations:
        made = {name: make(count) for name, make in ESTIMATORS.items()}
        listed = {name: estimator for name, estimator in made.items() if estimator is not None}
        reports[count] = compare(listed, cost, OneHotCategorical(logits=logits), draws=trials, generator=generator)
    return LinearReward(reports)


def log_slope(points: Mapping[int, Estimate] | Mapping[float, Estimate]) -> Estimate:
    """The slope of a straight line through the logarithms of positive estimates, by weighted least squares."""
    x = torch.tensor([math.log(count) for count in points], dtype=torch.float64)
    y = torch.tensor([math.log(point.value) for point in points.values()], dtype=torch.float64)
    weight = torch.tensor([(point.value / point.error) ** 2 for point in points.values()], dtype=torch.float64)
    centred = x - (weight * x).sum() / weight.sum()
    scale = (weight * centred**2).sum()
    return Estimate(float((weight * centred * y).sum() / scale), float(scale**-0.5))


def linear_reward(*, seed: int = 0, trials: int = TRIALS, evaluations: Sequence[int] = EVALUATIONS) -> Exhibit:
    """Measure, and lay out as table and figure; the arguments are those of the measurement."""
    found = measure_linear_reward(seed=seed, trials=trials, evaluations=evaluations)
    fewest, most = (pick(count for count in found.reports if count >= COMMON) for pick in (min, max))
    base = found.variances("REINFORCE")
    report = found.reports[most]
    rows = []
    for name in ESTIMATORS:
        points, row = found.variances(name), report[name]
        noisy = points[most].value > 0
        rows.append((
            name,
            scaled(points[fewest], UNIT),
            scaled(points[most], UNIT),
            f"{base[fewest].value / points[fewest].value:.1f}x" if noisy else "",
            _slope(points) if noisy else "",
            scaled(row.bias, UNIT) if row.verdict == "biased" else _at_most(row.bias_limit),
        ))  # fmt: skip
    headings = (
        "estimator", f"variance, {fewest} evaluations", f"variance, {most} evaluations",
        f"less than REINFORCE at {fewest}", f"slope from {STRAIGHT} on", "bias",
    )  # fmt: skip
    note = (
        f"Variance (trace of the covariance) of gradients for {CLASSES} logits, from {trials} trials each, against the "
        f"evaluations of the reward that a gradient takes; variances and biases times {1 / UNIT:.0f}, ± the standard "
        f"error. The exact gradient has length {report.reference_norm.value / UNIT:.0f} in this unit. Averages of "
        "independent samples fall with slope -1; leave-one-out falls faster at first, as its baseline improves with "
        f"the samples. DisARM is the categorical one, on a tree. Temperatures are {TAU}; Gumbel-Rao averages 10 "
        "conditional draws a sample, REBAR learned eta and temperature in 100 steps before. Straight-through is exact "
        "for a linear cost, and straight-through Gumbel-Softmax the same as Gumbel-Softmax."
    )
    data = {name: {count: vars(point) for count, point in found.variances(name).items()} for name in ESTIMATORS}
    return Exhibit(
        "linear-reward", "Variance against evaluations: eight classes, linear reward", headings, rows, note,
        {"seed": seed, "trials": trials, "variance": data}, lambda figure: _draw(figure, found), (8.2, 5.2),
    )  # fmt: skip


def _at_most(limit: float) -> str:
    return f"none < {limit / UNIT:.0f}" if limit > UNIT else "none"


def _slope(points: Mapping[int, Estimate]) -> str:
    slope = log_slope({count: point for count, point in points.items() if count >= STRAIGHT})
    return f"{slope.value:.2f} ± {slope.error:.2f}"


def _draw(figure: Figure, found: LinearReward) -> None:
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
    counts = list(found.reports)
    axes.set(xscale="log", yscale="log", xticks=counts, xticklabels=counts)
    axes.minorticks_off()
    low, high = axes.get_ylim()
    ends_of_lines = (counts[0] * 0.9, counts[-1] * 1.1)
    for start in (low * 10**power for power in range(12)):
        axes.plot(ends_of_lines, [start * counts[0] / count for count in ends_of_lines], color=RULE, lw=0.9, zorder=0)
    axes.set(ylim=(low, high), xlim=ends_of_lines)
    plain_axes(axes, "Eight classes, linear reward", "evaluations of the reward that one gradient takes",
               "variance of the gradient")  # fmt: skip
    axes.grid(visible=False)
    axes.annotate("thin lines: slope -1; bars: standard errors; straight-through has no variance", (0.02, 0.03),
                  xycoords="axes fraction", fontsize=8, color=FADED, backgroundcolor="white")  # fmt: skip
    label_ends(axes, ends)
