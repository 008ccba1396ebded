"""The coin of :mod:`drawgrad.studies.toy` at three targets: who finds out which side is cheaper?"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from drawgrad._checks import check_count
from drawgrad.diagnostics import Estimate
from drawgrad.studies.exhibit import COLORS, INK, Exhibit, label_ends, plain_axes
from drawgrad.studies.polynomial import over_runs
from drawgrad.studies.toy import ToyCurves, contestants, train_toy

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["RUNS", "STEPS", "TARGETS", "toy"]

TARGETS = (0.45, 0.49, 0.499)
STEPS = 10_000
"""Those of the published figure at t = 0.499."""
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
    found: dict[str, dict[float, ToyCurves]] = {}
    for name, contestant in contestants((len(targets), runs), seed).items():
        listener(name)
        found[name] = train_toy(contestant, targets, steps=steps, runs=runs, seed=seed)
    rows = [(name, *(_cell(over_runs(curves.after(steps))) for curves in of.values())) for name, of in found.items()]
    note = (
        f"How much of the way from a fair coin's cost to the least cost is done after {steps} steps: mean and standard "
        f"error of {runs} runs, errors that round to zero left out; 1 is the optimum, below 0 the coin prefers the "
        "dearer side. One sample a step (two for DisARM), Adam with rate 0.01 for the logit and for what an estimator "
        "learns, as published. REBAR relaxes the cost, and a cost of nearly zero half way between the sides takes no "
        "noise away; the linear cost b (1 - 2t) + t^2 is the same for both sides."
    )
    data = {
        f"{target:g}": {
            name: {"steps": of[target].steps.tolist(), "progress": of[target].progress.tolist()}
            for name, of in found.items()
        }
        for target in targets
    }
    return Exhibit(
        "toy", "One coin b with cost (b - t)^2: progress to the optimum",
        ("estimator", *(f"t = {t:g}" for t in targets)), rows, note,
        {"seed": seed, "runs": runs, "steps": steps, "curves": data}, lambda figure: _draw(figure, found, targets),
        (4.2 * len(targets) + 1, 3.9),
    )  # fmt: skip


def _cell(found: Estimate) -> str:
    error = f"{found.error:.3f}"
    return f"{found.value:.3f}" if float(error) == 0 else f"{found.value:.3f} ± {error}"


def _draw(figure: Figure, found: dict[str, dict[float, ToyCurves]], targets: Sequence[float]) -> None:
    panels = figure.subplots(1, len(targets), squeeze=False, sharey=True)[0]
    for axes, target in zip(panels, targets, strict=True):
        ends = []
        for color, (name, of) in zip(COLORS, found.items(), strict=False):
            curves = of[target]
            axes.plot(curves.steps, curves.progress, color=color, lw=0.5, alpha=0.3)
            mean = curves.progress.mean(1)
            axes.plot(curves.steps, mean, color=color, lw=1.8)
            ends.append((name, float(mean[-1]), color))
        axes.axhline(1, color=INK, lw=1, ls=(0, (4, 3)))
        last = int(curves.steps[-1])
        axes.set(xlim=(0, last), ylim=(-0.75, 1.08), xticks=[0, last // 2, last])
        plain_axes(axes, f"t = {target:g}", "step", "progress to the optimum" if axes is panels[0] else "")
        label_ends(axes, ends)
