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
from drawgrad.studies.exhibit import COLORS, Exhibit, label_ends, plain_axes

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["LinearReward", "linear_reward", "log_slope", "measure_linear_reward"]

CLASSES = 8
TRIALS = 200
EVALUATIONS = (1, 2, 4, 8, 16, 32, 64, 128)
TAU = 0.5
ROUNDING = 1e-20
STRAIGHT = 8
"""From here on leave-one-out is a straight line too: its factor S / (S - 1) is near one."""

# From the number of evaluations of the reward; None where an estimator needs more.
ESTIMATORS: dict[str, Callable[[int], Estimator | None]] = {
    "REINFORCE": lambda n: Reinforce(samples=n),
    "leave-one-out": lambda n: LeaveOneOut(samples=n) if n > 1 else None,
    "categorical DisARM": lambda n: CategoricalDisArm(samples=n // 2) if n > 1 else None,
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
    most = max(found.reports)
    least_common = 2
    base = found.variances("REINFORCE")
    rows = []
    for name in ESTIMATORS:
        points = found.variances(name)
        row = found.reports[most][name]
        noisy = points[most].value > 0
        rows.append((
            name,
            str(points[1]) if 1 in points else "",
            str(points[least_common]),
            str(points[most]),
            f"{base[least_common].value / points[least_common].value:.2g}x" if noisy else "",
            str(log_slope({count: points[count] for count in points if count >= STRAIGHT})) if noisy else "",
            f"{row.bias}" if row.verdict == "biased" else f"none seen (< {row.bias_limit:.2g})",
        ))  # fmt: skip
    headings = (
        "estimator", "variance, 1 evaluation", f"{least_common} evaluations", f"{most} evaluations",
        f"less than REINFORCE at {least_common}", f"slope from {STRAIGHT} on", "bias",
    )  # fmt: skip
    report = found.reports[most]
    note = (
        f"Variance (trace of the covariance) of gradients for {CLASSES} logits, from {trials} trials each, against the "
        f"evaluations of the reward that a gradient takes; ± is the standard error. Averages of independent samples "
        f"fall with slope -1. Temperatures are {TAU}; Gumbel-Rao averages 10 conditional draws a sample, REBAR learned "
        f"eta and temperature in 100 steps before. The exact gradient has length {report.reference_norm.value:.3g}. "
        "Straight-through is exact for a linear cost, and straight-through Gumbel-Softmax the same as Gumbel-Softmax."
    )
    data = {name: {count: vars(point) for count, point in found.variances(name).items()} for name in ESTIMATORS}
    return Exhibit(
        "linear-reward", "Variance against evaluations: eight classes, linear reward", headings, rows, note,
        {"seed": seed, "trials": trials, "variance": data}, lambda figure: _draw(figure, found), (8.2, 5.2),
    )  # fmt: skip


def _draw(figure: Figure, found: LinearReward) -> None:
    axes = figure.add_subplot()
    ends = []
    for color, name in zip(COLORS, ESTIMATORS, strict=False):
        points = {count: point for count, point in found.variances(name).items() if point.value > 0}
        if not points:
            continue
        values, errors = zip(*((point.value, point.error) for point in points.values()), strict=True)
        axes.errorbar(list(points), values, yerr=errors, color=color, marker="o", ms=3.5, lw=1.4, elinewidth=0.9)
        ends.append((name, values[-1], color))
    counts = list(found.reports)
    axes.set(xscale="log", yscale="log", xticks=counts, xticklabels=counts)
    axes.minorticks_off()
    low, high = axes.get_ylim()
    for start in (low * 10**power for power in range(12)):
        axes.plot(counts, [start / count * counts[0] for count in counts], color="#e4e6ec", lw=0.8, zorder=0)
    axes.set(ylim=(low, high), xlim=(counts[0] * 0.9, counts[-1] * 1.1))
    plain_axes(axes, "Eight classes, linear reward", "evaluations of the reward a gradient", "variance of the gradient")
    axes.grid(visible=False)
    axes.annotate("thin lines: slope -1", (0.02, 0.03), xycoords="axes fraction", fontsize=8, color="#7b8190")
    label_ends(axes, ends)
