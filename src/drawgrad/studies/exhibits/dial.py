"""The dial that trades bias for variance: surrogate gradients over the temperature, on a cost that is not linear.

One variable with eight classes, cost exp(z.v): between the corners of the simplex, where relaxed samples live, the
cost is not what it is at the corners, and its gradient there is no difference of costs.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch.distributions import OneHotCategorical

from drawgrad._tables import with_spread
from drawgrad._typing import Tensor
from drawgrad.diagnostics import Estimate, compare
from drawgrad.estimators import Estimator, GumbelRao, GumbelSoftmax, ReinMax, STGumbelSoftmax
from drawgrad.studies.drawing import label_ends, plain_axes, sign
from drawgrad.studies.exhibits.page import Page
from drawgrad.studies.exhibits.points import Point, log_slope

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["ESTIMATORS", "Dial", "Measured", "measure"]

CLASSES = 8
TEMPERATURES = (0.05, 0.07, 0.1, 0.14, 0.2, 0.28, 0.4, 0.56, 0.8, 1.1, 1.6, 2.2, 3.2)
COLD = 0.2
"""Slopes are those below this temperature."""
UNIT = 1e-3
"""Of errors in the table."""
SAMPLES = (1, 10, 100)
"""Gradients that are averaged: the best temperature depends on it."""
STYLES: tuple[Any, ...] = ("-", (0, (5, 2)), (0, (1.5, 1.5)))
"""Of the lines of their errors."""
BIAS, VARIANCE, ERROR = "#d1495b", "#3f6bbd", "#1f2430"

ESTIMATORS: dict[str, Callable[[float], Estimator]] = {
    "Gumbel-Softmax": lambda tau: GumbelSoftmax(tau=tau),
    "ST Gumbel-Softmax": lambda tau: STGumbelSoftmax(tau=tau),
    "Gumbel-Rao": lambda tau: GumbelRao(tau=tau),
    "ReinMax": lambda tau: ReinMax(tau=tau),
}


@dataclass(frozen=True)
class Measured:
    """What was found.

    Attributes:
        points: For each estimator and temperature.
        norm: Length of the exact gradient.
    """

    points: dict[str, dict[float, Point]]
    norm: float

    def error(self, name: str, samples: int) -> dict[float, Estimate]:
        """Mean squared error of the average of so many gradients, over the temperature."""
        found = {}
        for tau, row in self.points[name].items():
            spread = math.hypot(row.bias_squared.error, row.variance.error / samples)
            found[tau] = Estimate(max(row.bias_squared.value, 0.0) + row.variance.value / samples, spread)
        return found

    def best(self, name: str, samples: int) -> tuple[float, Estimate]:
        """The temperature with the least error, and this error."""
        errors = self.error(name, samples)
        tau = min(errors, key=lambda tau: errors[tau].value)
        return tau, errors[tau]


def measure(seed: int, draws: int, temperatures: tuple[float, ...]) -> Measured:
    """Draw gradients of every estimator at every temperature.

    Args:
        seed: Of the logits, standard normal, and the draws.
        draws: Gradients for each.
        temperatures: Where to look.
    """
    generator = torch.Generator().manual_seed(seed)
    logits = torch.randn(CLASSES, generator=generator, dtype=torch.float64)
    values = torch.linspace(-1, 1, CLASSES, dtype=torch.float64)
    values = values[torch.randperm(CLASSES, generator=generator)]

    def cost(z: Tensor) -> Tensor:
        return torch.exp((z * values).sum(-1))

    listed = {f"{name} {tau}": make(tau) for name, make in ESTIMATORS.items() for tau in temperatures}
    report = compare(listed, cost, OneHotCategorical(logits=logits), draws=draws, generator=generator)
    points = {name: {tau: Point.of(report[f"{name} {tau}"]) for tau in temperatures} for name in ESTIMATORS}
    return Measured(points, report.reference_norm.value)


@dataclass(frozen=True)
class Dial:
    """Bias against variance over the temperature.

    Args:
        draws: Gradients for each estimator and temperature.
        temperatures: Where to look.
    """

    draws: int = 20_000
    temperatures: tuple[float, ...] = TEMPERATURES

    def run(self, seed: int, folder: Path, listener: Callable[[str], None]) -> dict[str, Any]:
        """Measure; see :class:`~drawgrad.studies.engine.Recipe`."""
        found = measure(seed, self.draws, self.temperatures)
        points = {name: {f"{tau:g}": point.plain() for tau, point in of.items()} for name, of in found.points.items()}
        return {"norm": found.norm, "points": points}

    def page(self, result: dict[str, Any]) -> Page:
        """The best temperatures as a table, all of them as a figure."""
        found = Measured(
            {name: {tau: Point.read(of[f"{tau:g}"]) for tau in self.temperatures}
             for name, of in result["points"].items()},
            result["norm"],
        )  # fmt: skip
        rows = []
        for name, by_tau in found.points.items():
            cold = log_slope({tau: point.variance for tau, point in by_tau.items() if tau <= COLD})
            for samples in SAMPLES:
                first = samples == SAMPLES[0]
                tau, error = found.best(name, samples)
                rows.append((
                    name if first else "",
                    str(samples),
                    f"{tau:g}",
                    with_spread(error.value / UNIT, error.error / UNIT),
                    f"{max(by_tau[tau].bias_squared.value, 0.0) / error.value:.0%}",
                    with_spread(cold.value, cold.error, places=2) if first else "",
                ))  # fmt: skip
        headings = (
            "estimator", "gradients averaged", "best temperature", f"mean squared error, times {1 / UNIT:.0f}",
            "of it bias²", "slope of the variance",
        )  # fmt: skip
        note = (
            f"The temperature with the least mean squared error of gradients for {CLASSES} logits, from {self.draws} "
            f"draws a point, ± the standard error. The exact gradient has length {found.norm:.3g}. Averaging more "
            "gradients leaves the bias alone, so the best temperature falls with their number. The slope is that of "
            f"log variance over log tau up to {COLD}: -1 says that the variance grows like 1/tau, by gradients of size "
            "1/tau with a probability like tau."
        )
        return Page(
            "Bias against variance over the temperature: eight classes, cost exp(z.v)",
            headings, rows, note, lambda figure: _draw(figure, found), _signs, (9.6, 6.9),
        )  # fmt: skip


def _draw(figure: Figure, found: Measured) -> None:
    panels = figure.subplots(2, 2, sharex=True, sharey=True)
    for axes, (name, by_tau) in zip(panels.flat, found.points.items(), strict=True):
        _panel(axes, name, by_tau, found)
    for axes in panels[0]:
        axes.set_xlabel("")
    for axes in panels[:, 1]:
        axes.set_ylabel("")
    for axes, name in zip(panels.flat, found.points, strict=True):
        rows = found.points[name]
        last = rows[max(rows)]
        error = found.error(name, 1)[max(rows)].value
        ends = [("error", error, ERROR), ("variance", last.variance.value, VARIANCE)]
        label_ends(axes, [*ends, ("bias²", last.bias_squared.value, BIAS)])


def _panel(axes: Axes, name: str, by_tau: dict[float, Point], found: Measured) -> None:
    taus = list(by_tau)
    bias = [row.bias_squared for row in by_tau.values()]
    variance = [row.variance for row in by_tau.values()]
    # Where no bias was seen the line has a gap, with the limit that the bias stays below.
    seen = [row.biased for row in by_tau.values()]
    values = [b.value if yes else math.nan for b, yes in zip(bias, seen, strict=True)]
    axes.errorbar(taus, values, yerr=[b.error for b in bias], color=BIAS, marker="D", ms=3, lw=1.3)
    limits = [(tau, row.bias_limit**2) for tau, row in by_tau.items() if not row.biased]
    axes.plot([tau for tau, _ in limits], [limit for _, limit in limits], color=BIAS, marker="v", ms=4, ls="none",
              mfc="white")  # fmt: skip
    axes.errorbar(taus, [v.value for v in variance], yerr=[v.error for v in variance], color=VARIANCE, marker="o", ms=3,
                  lw=1.3)  # fmt: skip
    for samples, style in zip(SAMPLES, STYLES, strict=True):
        error = found.error(name, samples)
        axes.plot(taus, [e.value for e in error.values()], color=ERROR, lw=1.0, ls=style, alpha=0.8)
        tau, least = found.best(name, samples)
        axes.plot(tau, least.value, marker="v", ms=6, color=ERROR)
        axes.annotate(f"{samples}", (tau, least.value), xytext=(0, 7), textcoords="offset points", ha="center",
                      fontsize=7.5, color=ERROR)  # fmt: skip
    ticks = [0.05, 0.1, 0.2, 0.5, 1, 2]
    axes.set(xscale="log", yscale="log", xticks=ticks, xticklabels=[f"{tick:g}" for tick in ticks])
    axes.minorticks_off()
    plain_axes(axes, name, "temperature τ", "squared norm of the gradient")


def _signs() -> list[Artist]:
    error = "mean squared error of one gradient", *(f"of the average of {count}" for count in SAMPLES[1:])
    return [
        sign("variance", VARIANCE, marker="o", ms=3, lw=1.3),
        sign("squared bias", BIAS, marker="D", ms=3, lw=1.3),
        sign("no bias seen: it is below", BIAS, marker="v", ms=4, ls="none", mfc="white"),
        *(sign(name, ERROR, lw=1.0, ls=style, alpha=0.8) for name, style in zip(error, STYLES, strict=True)),
        sign("best temperature", ERROR, marker="v", ms=6, ls="none"),
    ]
