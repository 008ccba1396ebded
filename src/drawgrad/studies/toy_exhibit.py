"""The coin of :mod:`drawgrad.studies.toy` at three targets: who finds out which side is cheaper?"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from drawgrad._checks import check_count
from drawgrad.diagnostics import Estimate
from drawgrad.studies.exhibit import COLORS, INK, Exhibit, label_ends, plain_axes
from drawgrad.studies.polynomial import over_runs
from drawgrad.studies.toy import ToyCurves, independent_runs, train_toy

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["toy"]

TARGETS = (0.45, 0.49, 0.499)
STEPS = 5000
RUNS = 10


def toy(
    *,
    seed: int = 0,
    runs: int = RUNS,
    steps: int = STEPS,
    targets: Sequence[float] = TARGETS,
    listener: Callable[[str], None] = lambda message: None,
) -> Exhibit:
    """Train with every estimator, and lay out as table and figure.

    Args:
        seed: of all randomness.
        runs: independent runs of each, two at least.
        steps: steps of each.
        targets: t of the costs.
        listener: told what is trained.
    """
    check_count(runs, "runs", minimum=2)
    curves: dict[float, dict[str, ToyCurves]] = {}
    for target in targets:
        curves[target] = {}
        for name, estimator in independent_runs(runs, seed).items():
            listener(f"t = {target:g}, {name}")
            curves[target][name] = train_toy(estimator, target=target, steps=steps, runs=runs, seed=seed)
    names = list(curves[targets[0]])
    rows = [(name, *(str(_final(curves[target][name])) for target in targets)) for name in names]
    note = (
        f"How much of the way from a fair coin's cost to the least cost is done after {steps} steps: mean and standard "
        f"error of {runs} runs; 1 is the optimum, below 0 the coin prefers the dearer side. One sample a step (two for "
        "DisARM), Adam with rate 0.01 for the logit and for what an estimator learns, as published."
    )
    data = {
        f"{target:g}": {
            name: {"steps": found.steps.tolist(), "progress": found.progress.tolist()}
            for name, found in by_name.items()
        }
        for target, by_name in curves.items()
    }
    return Exhibit(
        "toy", "One coin b with cost (b - t)^2: progress to the optimum", ("", *(f"t = {t:g}" for t in targets)), rows,
        note, {"seed": seed, "runs": runs, "steps": steps, "curves": data}, lambda figure: _draw(figure, curves),
        (4.2 * len(targets) + 1, 3.9),
    )  # fmt: skip


def _final(found: ToyCurves) -> Estimate:
    return over_runs(found.progress[-1])


def _draw(figure: Figure, curves: dict[float, dict[str, ToyCurves]]) -> None:
    panels = figure.subplots(1, len(curves), squeeze=False, sharey=True)[0]
    for axes, (target, by_name) in zip(panels, curves.items(), strict=True):
        ends = []
        for color, (name, found) in zip(COLORS, by_name.items(), strict=False):
            axes.plot(found.steps, found.progress, color=color, lw=0.5, alpha=0.35)
            mean = found.progress.mean(1)
            axes.plot(found.steps, mean, color=color, lw=1.8)
            ends.append((name, float(mean[-1]), color))
        axes.axhline(1, color=INK, lw=1, ls=(0, (4, 3)))
        axes.set(xlim=(0, float(found.steps[-1])), ylim=(-0.4, 1.08))
        plain_axes(axes, f"t = {target:g}", "step", "progress to the optimum" if axes is panels[0] else "")
        label_ends(axes, ends)
