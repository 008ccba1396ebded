"""Polynomial programming with 128 binary latents: minimize the mean of |b_i - t|^p over the logits of the b_i.

Straight-through replaces the difference of the two costs of a variable by the cost's slope at the sample. Where the
slopes at zero and one average out, it stands still: for p = 2 at P(b = 1) = t, while the optimum is at zero. ReinMax is
exact for p = 2.

References:
    Liu, Dong, Liu, Yu, Gao. Bridging discrete and backpropagation: straight-through and beyond. NeurIPS 2023.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch.distributions import Bernoulli

from drawgrad._checks import check_count
from drawgrad._tables import with_spread
from drawgrad._typing import Float, Tensor
from drawgrad.estimators import Estimator, ReinMax, STGumbelSoftmax, StraightThrough
from drawgrad.studies.drawing import COLORS, INK, label_ends, plain_axes
from drawgrad.studies.exhibits.curves import Curves, descend, signs
from drawgrad.studies.exhibits.page import Page

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["ESTIMATORS", "POWERS", "RUNS", "STEPS", "Polynomial", "optimum", "train_polynomial"]

VARIABLES = 128
TARGET = 0.45
POWERS = (1.5, 2.0, 3.0)
STEPS = 8000
RUNS = 10
ESTIMATORS: dict[str, Estimator | None] = {
    "exact gradient": None,
    "straight-through": StraightThrough(),
    "ST Gumbel-Softmax": STGumbelSoftmax(),
    "ReinMax": ReinMax(),
}
"""All of them with their default options; the temperature of the Gumbel-Softmax is 1."""


def optimum(power: float) -> float:
    """The least expected cost, where no b is ever 1."""
    return TARGET**power


def train_polynomial(
    estimator: Estimator | None,
    power: float,
    *,
    steps: int = STEPS,
    runs: int = RUNS,
    batch: int = 64,
    lr: float = 1e-3,
    every: int = 200,
    seed: int = 0,
) -> Curves:
    """Train a batch of problems, each a run of its own, by gradients of one estimator.

    Args:
        estimator: one without a state, that takes Bernoulli variables; None for the exact gradient.
        power: p of the cost.
        steps: steps of Adam.
        runs: independent runs, trained at once.
        batch: samples a step.
        lr: learning rate.
        every: steps from one look to the next.
        seed: of the initial logits, uniform in (-0.01, 0.01), and of all draws.

    Returns:
        The expected costs along the way, exactly.
    """
    check_count(runs, "runs", minimum=1)
    check_count(batch, "batch", minimum=1)
    generator = torch.Generator().manual_seed(seed)
    logits = torch.empty(runs, VARIABLES).uniform_(-0.01, 0.01, generator=generator).requires_grad_()

    def cost(z: Float[Tensor, "samples batch runs variables"]) -> Float[Tensor, "samples batch runs"]:
        return (z - TARGET).abs().pow(power).mean(-1)

    def loss() -> Tensor:
        if estimator is None:
            return _expected(logits, power)
        q = Bernoulli(logits=logits.expand(batch, -1, -1), validate_args=False)
        return estimator(cost, q, generator=generator).mean(0)

    return Curves(*descend(loss, [logits], lambda: _expected(logits.detach(), power), steps=steps, lr=lr, every=every))


def _expected(logits: Float[Tensor, "runs variables"], power: float) -> Float[Tensor, "runs"]:
    p = logits.double().sigmoid()
    return (p * (1 - TARGET) ** power + (1 - p) * TARGET**power).mean(-1)


@dataclass(frozen=True)
class Polynomial:
    """The problem at several powers, trained with every estimator.

    Args:
        runs: Independent runs of each, two at least.
        steps: Steps of each.
        powers: p of the costs.
    """

    runs: int = RUNS
    steps: int = STEPS
    powers: tuple[float, ...] = POWERS

    def __post_init__(self) -> None:
        check_count(self.runs, "runs", minimum=2)

    def run(self, seed: int, folder: Path, listener: Callable[[str], None]) -> dict[str, Any]:
        """Train with every estimator; see :class:`~drawgrad.studies.engine.Recipe`."""
        found: dict[str, dict[str, Any]] = {}
        for power in self.powers:
            found[f"{power:g}"] = {}
            for name, estimator in ESTIMATORS.items():
                listener(f"p = {power:g}, {name}")
                curves = train_polynomial(estimator, power, steps=self.steps, runs=self.runs, seed=seed)
                found[f"{power:g}"][name] = curves.plain()
        return {"cost": found}

    def page(self, result: dict[str, Any]) -> Page:
        """Costs at the end as a table, along the way as a figure."""
        curves = {
            power: {name: Curves.read(plain) for name, plain in result["cost"][f"{power:g}"].items()}
            for power in self.powers
        }
        first = next(iter(ESTIMATORS))
        rows = [
            ("at the start", *(f"{float(curves[power][first].mean[0]):.5f}" for power in self.powers)),
            *((name, *(_cell(curves[power][name]) for power in self.powers)) for name in ESTIMATORS),
            ("optimum", *(f"{optimum(power):.5f}" for power in self.powers)),
        ]
        note = (
            f"Expected cost after {self.steps} steps, exact, mean and standard error of {self.runs} runs; errors that "
            "round to zero are left out. Adam with rate 0.001, 64 samples a step, as published. The exact gradient "
            "shows how far Adam comes without noise and bias."
        )
        return Page(
            f"Polynomial programming: mean of |b - {TARGET}|^p over {VARIABLES} binary variables",
            ("expected cost", *(f"p = {power:g}" for power in self.powers)),
            rows, note, lambda figure: _draw(figure, curves), signs, (4.2 * len(self.powers) + 1, 4.3),
        )  # fmt: skip


def _cell(curves: Curves) -> str:
    return with_spread(curves.final.value, curves.final.error, places=5)


def _draw(figure: Figure, curves: dict[float, dict[str, Curves]]) -> None:
    panels = figure.subplots(1, len(curves), squeeze=False)[0]
    for axes, (power, by_name) in zip(panels, curves.items(), strict=True):
        ends = []
        for color, (name, found) in zip(COLORS, by_name.items(), strict=False):
            found.draw(axes, color)
            ends.append((name, float(found.mean[-1]), color))
        least = optimum(power)
        axes.axhline(least, color=INK, lw=1, ls=(0, (4, 3)))
        ends.append(("optimum", least, INK))
        axes.set_xlim(0, float(found.steps[-1]))
        plain_axes(axes, f"p = {power:g}", "step", "expected cost" if axes is panels[0] else "")
        label_ends(axes, ends)
