"""Three of ten vectors whose sum shall come close to a target: estimators of subsets against the exact gradient.

There are 120 subsets, so the exact gradient is known. The cost is the squared distance, which is no linear function of
the subset: what an estimator takes from the marginals or from a relaxed set alone is not enough.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from drawgrad._tables import with_spread
from drawgrad._typing import Float, Tensor
from drawgrad.diagnostics import Estimate, compare
from drawgrad.distributions import KSubset
from drawgrad.estimators import (
    AdaptiveStep,
    Aimle,
    Estimator,
    LeaveOneOut,
    PerturbAndMap,
    Reinforce,
    Simple,
    STGumbelTopK,
    UnorderedSet,
)
from drawgrad.studies.drawing import COLORS, INK, label_ends, plain_axes, sign
from drawgrad.studies.exhibits.page import Page
from drawgrad.studies.exhibits.points import Point

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["AVERAGED", "SETS", "Measured", "Subsets", "measure"]

CLASSES, CHOSEN, DIMENSIONS = 10, 3, 2

STEPS = (0.03, 0.1, 0.3, 1.0, 3.0)
SPREAD = math.sqrt(CHOSEN)
"""What gives the noise of I-MLE the standard deviation of Gumbel noise, class by class."""

# One gradient takes one evaluation, and n evaluations are n gradients averaged; by the temperature or the step.
AVERAGED: dict[str, dict[str, Callable[[], Estimator]]] = {
    "REINFORCE": {"": Reinforce},
    "SIMPLE": {"": Simple},
    "ST Gumbel-top-k": {f"τ = {tau:g}": partial(STGumbelTopK, tau=tau) for tau in (0.1, 0.2, 0.5, 1.0, 2.0)},
    "I-MLE": {f"λ = {step:g}": partial(PerturbAndMap, step=step) for step in STEPS},
    "I-MLE, central": {
        f"λ = {step:g}": partial(PerturbAndMap, step=step, symmetric=True, tau=SPREAD) for step in STEPS
    },
    "AIMLE": {"": lambda: Aimle(AdaptiveStep(rate=0.02))},
}
# All evaluations make one gradient.
SETS: dict[str, Callable[[int], Estimator]] = {
    "leave-one-out": lambda n: LeaveOneOut(samples=n),
    "unordered set": lambda n: UnorderedSet(samples=n),
}


@dataclass(frozen=True)
class Measured:
    """What was found.

    Attributes:
        averaged: One gradient of each estimator of :data:`AVERAGED`, at each setting.
        sets: Those of :data:`SETS`, for each number of evaluations.
        norm: Length of the exact gradient.
    """

    averaged: dict[str, dict[str, Point]]
    sets: dict[str, dict[int, Point]]
    norm: float

    def error(self, name: str, count: int) -> tuple[str, Estimate, float]:
        """The best setting at a number of evaluations, its mean squared error, and which part of it is squared bias.

        The error is relative to the squared length of the exact gradient: 1 is that of no gradient at all.
        """
        if name in self.sets:
            return "", self.relative(self.sets[name][count].variance), 0.0
        errors, biases = {}, {}
        for setting, point in self.averaged[name].items():
            none = AVERAGED[name][setting]().unbiased
            biases[setting] = 0.0 if none else max(point.bias_squared.value, 0.0)
            spread = math.hypot(0.0 if none else point.bias_squared.error, point.variance.error / count)
            errors[setting] = Estimate(biases[setting] + point.variance.value / count, spread)
        best = min(errors, key=lambda setting: errors[setting].value)
        return best, self.relative(errors[best]), biases[best] / errors[best].value

    def relative(self, value: Estimate) -> Estimate:
        """In squared lengths of the exact gradient."""
        return Estimate(value.value / self.norm**2, value.error / self.norm**2)

    @property
    def counts(self) -> list[int]:
        """The numbers of evaluations."""
        return list(next(iter(self.sets.values())))


def measure(seed: int, draws: int, counts: tuple[int, ...]) -> Measured:
    """Draw gradients of every estimator.

    Args:
        seed: Of the vectors and the logits, standard normal, and the draws.
        draws: Gradients for each; a quarter of them where a gradient takes several evaluations.
        counts: Evaluations of the cost that one gradient takes.
    """
    generator = torch.Generator().manual_seed(seed)
    logits = torch.randn(CLASSES, generator=generator, dtype=torch.float64)
    vectors = torch.randn(CLASSES, DIMENSIONS, generator=generator, dtype=torch.float64)
    target = vectors[logits.argsort()[:CHOSEN]].sum(0)

    def cost(z: Float[Tensor, "samples draws classes"]) -> Tensor:
        return (z @ vectors - target).square().sum(-1)

    q = KSubset(logits, CHOSEN)
    listed = {f"{name} {setting}": make() for name, of in AVERAGED.items() for setting, make in of.items()}
    report = compare(listed, cost, q, draws=draws, generator=generator)
    averaged = {
        name: {setting: Point.of(report[f"{name} {setting}"]) for setting in of} for name, of in AVERAGED.items()
    }
    sets: dict[str, dict[int, Point]] = {name: {} for name in SETS}
    for count in counts:
        made = {name: make(count) for name, make in SETS.items()}
        found = compare(made, cost, q, draws=draws // 4, generator=generator)
        for row in found.rows:
            sets[row.name][count] = Point.of(row)
    return Measured(averaged, sets, report.reference_norm.value)


@dataclass(frozen=True)
class Subsets:
    """Estimators of subsets.

    Args:
        draws: Gradients for each estimator and setting; a quarter of them where a gradient takes several evaluations.
        counts: Evaluations of the cost that one gradient takes, from 2 on.
    """

    draws: int = 8000
    counts: tuple[int, ...] = (2, 4, 8, 16, 32, 64)

    def run(self, seed: int, folder: Path, listener: Callable[[str], None]) -> dict[str, Any]:
        """Measure; see :class:`~drawgrad.studies.engine.Recipe`."""
        found = measure(seed, self.draws, self.counts)
        return {
            "norm": found.norm,
            "averaged": {name: {key: p.plain() for key, p in of.items()} for name, of in found.averaged.items()},
            "sets": {name: {str(key): p.plain() for key, p in of.items()} for name, of in found.sets.items()},
        }

    def page(self, result: dict[str, Any]) -> Page:
        """The error at the fewest and the most evaluations as a table, all of them as a figure."""
        found = Measured(
            {name: {key: Point.read(p) for key, p in of.items()} for name, of in result["averaged"].items()},
            {name: {int(key): Point.read(p) for key, p in of.items()} for name, of in result["sets"].items()},
            result["norm"],
        )
        few, many = self.counts[0], self.counts[-1]
        rows = []
        for name in (*AVERAGED, *SETS):
            (first, error, _), (last, least, share) = (found.error(name, count) for count in (few, many))
            cells = (with_spread(error.value, error.error), first, with_spread(least.value, least.error), last)
            rows.append((name, *cells, f"{share:.0%}"))
        headings = (
            "estimator", f"error, {few} evaluations", "best at", f"error, {many} evaluations", "best at", "of it bias²",
        )  # fmt: skip
        note = (
            f"Mean squared error of gradients for {CLASSES} logits, relative to the squared length of the exact one "
            f"(by enumeration of {math.comb(CLASSES, CHOSEN)} subsets): 1 is the error of no gradient at all. ± the "
            f"standard error, from {self.draws} draws each. Averaging leaves the bias alone, so the best temperature "
            "and step fall with the evaluations, and estimators without bias win in the end. I-MLE, AIMLE and ST "
            "Gumbel-top-k draw their subsets from laws of their own, so some of their bias is left at any setting. The "
            f"noise of I-MLE has a {CHOSEN}rd of the variance of Gumbel noise, and its sets are less random than they "
            f"should be; the central differences have it multiplied with the root of {CHOSEN}. AIMLE set its step in "
            "100 calls before."
        )
        return Page(
            f"Subsets: {CHOSEN} of {CLASSES} vectors whose sum shall reach a target",
            headings, rows, note, lambda figure: _draw(figure, found), _signs, (10.4, 4.9),
        )  # fmt: skip


def _draw(figure: Figure, found: Measured) -> None:
    left, right = figure.subplots(1, 2, width_ratios=(1.15, 1))
    colors = dict(zip((*AVERAGED, *SETS), COLORS, strict=False))
    _over_evaluations(left, found, colors)
    _bias_and_variance(right, found, colors)


def _over_evaluations(axes: Axes, found: Measured, colors: dict[str, str]) -> None:
    ends = []
    for name, color in colors.items():
        errors = [found.error(name, count)[1] for count in found.counts]
        values = [error.value for error in errors]
        axes.errorbar(found.counts, values, yerr=[error.error for error in errors], color=color, marker="o", ms=3.5,
                      lw=1.4, elinewidth=1.2, capsize=2)  # fmt: skip
        ends.append((name, values[-1], color))
    axes.set(xscale="log", yscale="log", xticks=found.counts, xticklabels=found.counts)
    axes.minorticks_off()
    axes.set_xlim(found.counts[0] * 0.9, found.counts[-1] * 1.1)
    axes.axhline(1.0, color=INK, lw=0.8, ls=(0, (1.5, 1.5)))
    plain_axes(axes, "Error at the best setting", "evaluations of the cost", "relative mean squared error")
    label_ends(axes, ends)


def _bias_and_variance(axes: Axes, found: Measured, colors: dict[str, str]) -> None:
    for name, of in found.averaged.items():
        # Where no bias was seen, a marker stands at what it is below.
        seen = {key: point for key, point in of.items() if point.biased}
        unseen = {key: point for key, point in of.items() if not point.biased}
        for points, style in (
            (seen, {"marker": "D", "lw": 1.2}),
            (unseen, {"marker": "v", "ls": "none", "mfc": "white"}),
        ):
            variance = [found.relative(point.variance).value for point in points.values()]
            bias = [(point.bias_squared.value if point.biased else point.bias_limit**2) / found.norm**2
                    for point in points.values()]  # fmt: skip
            axes.plot(variance, bias, color=colors[name], ms=4, **style)
            for x, y, setting in zip(variance, bias, points, strict=True):
                axes.annotate(setting, (x, y), xytext=(5, 3), textcoords="offset points", fontsize=7,
                              color=colors[name])  # fmt: skip
    axes.axhline(1.0, color=INK, lw=0.8, ls=(0, (1.5, 1.5)))
    axes.set(xscale="log", yscale="log")
    plain_axes(axes, "Bias against variance of one gradient", "relative variance", "relative squared bias")


def _signs() -> list[Artist]:
    return [
        sign("mean squared error, with its standard error", marker="o", ms=3.5, lw=1.4),
        sign("by the temperature τ or the step λ", marker="D", ms=4, lw=1.2),
        sign("no bias seen: it is below", marker="v", ms=4, ls="none", mfc="white"),
        sign("no gradient at all", ls=(0, (1.5, 1.5)), lw=0.8),
    ]
