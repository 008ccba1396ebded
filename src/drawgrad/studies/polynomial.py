"""Polynomial programming with 128 binary latents: minimise the mean of |b_i - t|^p over the logits of the b_i.

Straight-through replaces the difference of the two costs of a variable by the cost's slope at the sample. Where the
slopes at zero and one average out, it stands still: for p = 2 at P(b = 1) = t, while the optimum is at zero. ReinMax is
exact for p = 2.

References:
    Liu, Dong, Liu, Yu, Gao. Bridging discrete and backpropagation: straight-through and beyond. NeurIPS 2023.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch.distributions import Bernoulli

from drawgrad._checks import check_count
from drawgrad._typing import Float, Int, Tensor
from drawgrad.diagnostics import Estimate
from drawgrad.estimators import Estimator, ReinMax, STGumbelSoftmax, StraightThrough
from drawgrad.studies.exhibit import COLORS, INK, Exhibit, label_ends, plain_axes

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["ESTIMATORS", "POWERS", "PolynomialCurves", "polynomial", "train_polynomial"]

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


@dataclass(frozen=True)
class PolynomialCurves:
    """How independent runs of one estimator went.

    Attributes:
        power: p.
        steps: the steps after which was looked; the first one is 0.
        cost: the expected cost then, exactly.
    """

    power: float
    steps: Int[Tensor, "looks"]
    cost: Float[Tensor, "looks runs"]

    @property
    def optimum(self) -> float:
        """The least expected cost, where no b is ever 1."""
        return TARGET**self.power

    @property
    def final(self) -> Estimate:
        """Mean and standard error of the cost at the end, over the runs."""
        return over_runs(self.cost[-1])


def over_runs(values: Float[Tensor, "runs"]) -> Estimate:
    """Mean and standard error over at least two runs."""
    return Estimate(float(values.mean()), float(values.std()) / math.sqrt(len(values)))


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
) -> PolynomialCurves:
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
    """
    for value, name in ((steps, "steps"), (runs, "runs"), (batch, "batch"), (every, "every")):
        check_count(value, name, minimum=1)
    generator = torch.Generator().manual_seed(seed)
    logits = torch.empty(runs, VARIABLES).uniform_(-0.01, 0.01, generator=generator).requires_grad_()
    optimizer = torch.optim.Adam([logits], lr=lr, fused=True)

    def cost(z: Float[Tensor, "samples batch runs variables"]) -> Float[Tensor, "samples batch runs"]:
        return (z - TARGET).abs().pow(power).mean(-1)

    looks, found = [0], [_expected(logits, power)]
    for step in range(1, steps + 1):
        if estimator is None:
            loss = _expected(logits, power)
        else:
            q = Bernoulli(logits=logits.expand(batch, -1, -1), validate_args=False)
            loss = estimator(cost, q, generator=generator).mean(0)
        optimizer.zero_grad()
        loss.sum().backward()
        optimizer.step()
        if step % every == 0 or step == steps:
            looks.append(step)
            found.append(_expected(logits, power))
    return PolynomialCurves(power, torch.tensor(looks), torch.stack(found).detach())


def _expected(logits: Float[Tensor, "runs variables"], power: float) -> Float[Tensor, "runs"]:
    p = logits.double().sigmoid()
    return (p * (1 - TARGET) ** power + (1 - p) * TARGET**power).mean(-1)


def polynomial(
    *,
    seed: int = 0,
    runs: int = RUNS,
    steps: int = STEPS,
    powers: Sequence[float] = POWERS,
    listener: Callable[[str], None] = lambda message: None,
) -> Exhibit:
    """Train with every estimator, and lay out as table and figure.

    Args:
        seed: of all randomness.
        runs: independent runs of each, two at least.
        steps: steps of each.
        powers: p of the costs.
        listener: told what is trained.
    """
    check_count(runs, "runs", minimum=2)
    curves: dict[float, dict[str, PolynomialCurves]] = {power: {} for power in powers}
    for power in powers:
        for name, estimator in ESTIMATORS.items():
            listener(f"p = {power:g}, {name}")
            curves[power][name] = train_polynomial(estimator, power, steps=steps, runs=runs, seed=seed)
    first = next(iter(ESTIMATORS))
    rows = [
        ("at the start", *(f"{float(curves[power][first].cost[0].mean()):.5f}" for power in powers)),
        *((name, *(_cell(curves[power][name].final) for power in powers)) for name in ESTIMATORS),
        ("optimum", *(f"{TARGET**power:.5f}" for power in powers)),
    ]
    note = (
        f"Expected cost after {steps} steps, exact, mean and standard error of {runs} runs; errors that round to zero "
        "are left out. Adam with rate 0.001, 64 samples a step, as published. The exact gradient shows how far Adam "
        "comes without noise and bias."
    )
    data = {
        f"{power:g}": {
            name: {"steps": found.steps.tolist(), "cost": found.cost.tolist()} for name, found in by_name.items()
        }
        for power, by_name in curves.items()
    }
    return Exhibit(
        "polynomial", f"Polynomial programming: mean of |b - {TARGET}|^p over {VARIABLES} binary variables",
        ("expected cost", *(f"p = {power:g}" for power in powers)), rows, note,
        {"seed": seed, "runs": runs, "steps": steps, "curves": data},
        lambda figure: _draw(figure, curves), (4.2 * len(powers) + 1, 3.9),
    )  # fmt: skip


def _cell(found: Estimate) -> str:
    error = f"{found.error:.5f}"
    return f"{found.value:.5f}" if float(error) == 0 else f"{found.value:.5f} ± {error}"


def _draw(figure: Figure, curves: dict[float, dict[str, PolynomialCurves]]) -> None:
    panels = figure.subplots(1, len(curves), squeeze=False)[0]
    for axes, (power, by_name) in zip(panels, curves.items(), strict=True):
        ends = []
        for color, (name, found) in zip(COLORS, by_name.items(), strict=False):
            mean, error = found.cost.mean(1), found.cost.std(1) / math.sqrt(found.cost.shape[1])
            axes.plot(found.steps, mean, color=color, lw=1.5)
            axes.fill_between(found.steps, mean - 2 * error, mean + 2 * error, color=color, alpha=0.2, lw=0)
            ends.append((name, float(mean[-1]), color))
        optimum = TARGET**power
        axes.axhline(optimum, color=INK, lw=1, ls=(0, (4, 3)))
        ends.append(("optimum", optimum, INK))
        axes.set_xlim(0, float(found.steps[-1]))
        plain_axes(axes, f"p = {power:g}", "step", "expected cost" if axes is panels[0] else "")
        label_ends(axes, ends)
