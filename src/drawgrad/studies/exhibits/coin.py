"""The smallest problem with a discrete choice: one coin whose cost hardly depends on its side.

Minimize E[(b - t)^2] over the logit of a Bernoulli variable b, starting from a fair coin. For t just below 1/2 the
optimum is never to throw a one, but the two costs differ by 1 - 2 t only, and the score function must find that
difference in the noise of the costs themselves. The set-up is that of Grathwohl et al. (2018), after Tucker et al.
(2017): one sample a step, Adam with rate 0.01 for the logit and for what the estimator learns.

Both costs are 1/4, nearly, and a constant baseline would take that noise away. What a control variate made of c(z)
takes away is decided at the threshold z = 0 where b changes: given b = 1 its mean is -c(0) p(0) / P(b = 1), with p the
density of z, whatever c is elsewhere. REBAR's c(0) is eta (1/2 - t)^2, nearly nothing, so it cannot help here and
learns an eta near zero. RELAX learns a c that is near the costs everywhere. And REBAR can as soon as the cost is
written such that it has no dip between the two sides: b (1 - 2 t) + t^2 is the same for every b that is a zero or a
one.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import nn
from torch.distributions import Bernoulli

from drawgrad._checks import check_count
from drawgrad._tables import with_spread
from drawgrad._typing import Float, Tensor
from drawgrad.estimators import DisArm, Estimator, Rebar, Reinforce, Relax
from drawgrad.functional import draw_seed
from drawgrad.studies.drawing import COLORS, INK, label_ends, plain_axes
from drawgrad.studies.exhibits.curves import Curves, descend, signs
from drawgrad.studies.exhibits.page import Page

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["Coin", "CoinCurves", "Contestant", "contestants", "linear", "quadratic", "train_coin"]

TARGETS = (0.45, 0.49, 0.499)
STEPS = 10_000
"""Those of the published figure at t = 0.499."""


def quadratic(b: Tensor, target: Tensor) -> Tensor:
    """The cost as published, (b - t)^2."""
    return (b - target) ** 2


def linear(b: Tensor, target: Tensor) -> Tensor:
    """The same cost of zeros and ones, but a straight line between them."""
    return b * (1 - 2 * target) + target**2


@dataclass(frozen=True)
class Contestant:
    """An estimator, and the way in which the cost is written for it."""

    estimator: Estimator
    cost: Callable[[Tensor, Tensor], Tensor] = quadratic


@dataclass(frozen=True)
class CoinCurves:
    """How independent runs of one estimator went.

    Attributes:
        target: t of the cost.
        probability: P(b = 1) along the way.
    """

    target: float
    probability: Curves

    @property
    def cost(self) -> Float[Tensor, "looks runs"]:
        """The expected cost, exactly."""
        p = self.probability.values
        return p * (1 - self.target) ** 2 + (1 - p) * self.target**2

    @property
    def optimum(self) -> float:
        """The least expected cost."""
        return min(self.target, 1 - self.target) ** 2

    @property
    def progress(self) -> Curves:
        """How much of the way from a fair coin's cost to the least one is done; 1 is all."""
        sign = math.copysign(1.0, 0.5 - self.target)
        return Curves(self.probability.steps, sign * (1 - 2 * self.probability.values))


def train_coin(
    contestant: Contestant,
    targets: Sequence[float],
    *,
    steps: int,
    runs: int,
    lr: float = 0.01,
    every: int = 100,
    seed: int = 0,
) -> dict[float, CoinCurves]:
    """Train a batch of coins, each a run of its own, by gradients of one estimator.

    Args:
        contestant: takes a Bernoulli variable; what it learns must be per coin, see :func:`contestants`.
        targets: t of the costs, between 0 and 1, not 1/2.
        steps: steps of Adam.
        runs: independent runs for each target; all are trained at once.
        lr: learning rate, of the coins and of the estimator's parameters.
        every: steps from one look at the coins to the next.
        seed: of all draws.

    Returns:
        For each target, the coins' probabilities of a one along the way.
    """
    check_count(runs, "runs", minimum=1)
    estimator, t = contestant.estimator, torch.tensor(targets)[:, None]
    logits = torch.zeros(len(targets), runs, requires_grad=True)
    learned = list(estimator.parameters()) if isinstance(estimator, nn.Module) else []
    generator = torch.Generator().manual_seed(seed)

    def loss() -> Tensor:
        q = Bernoulli(logits=logits, validate_args=False)
        return estimator(lambda b: contestant.cost(b, t), q, seed=draw_seed(generator=generator))

    looks, found = descend(loss, [logits, *learned], lambda: logits.detach().sigmoid(), steps=steps, lr=lr, every=every)
    return {target: CoinCurves(target, Curves(looks, found[:, index])) for index, target in enumerate(targets)}


def contestants(coins: tuple[int, ...], seed: int = 0) -> dict[str, Contestant]:
    """The estimators of the published figure, each with parameters of its own for every coin.

    As published: eta begins at 1, the temperature at 1/2, RELAX has ten tanh units. REBAR with the cost as a straight
    line is added, and antithetic coins, which know without learning that a constant does not matter.

    Args:
        coins: the shape of the coins.
        seed: of the initial weights.
    """
    tau = torch.full(coins, 0.5)
    return {
        "REINFORCE": Contestant(Reinforce()),
        "REBAR": Contestant(Rebar(eta=torch.ones(coins), tau=tau)),
        "RELAX": Contestant(Relax(network=_Perceptrons(coins, 10, seed), tau=tau)),
        "REBAR, linear cost": Contestant(Rebar(eta=torch.ones(coins), tau=tau), linear),
        "DisARM": Contestant(DisArm()),
    }


class _Perceptrons(nn.Module):
    """A network of one layer of tanh units for each coin; maps ``(samples, *coins, 1)`` to the same shape.

    As published: a relaxed coin y enters as 2 y - 1, and a factor that begins as zero scales the output.
    """

    def __init__(self, coins: tuple[int, ...], hidden: int, seed: int) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(seed)
        bound = math.sqrt(6 / (1 + hidden))  # Glorot and Bengio's, of both layers

        def uniform() -> nn.Parameter:
            return nn.Parameter(torch.empty(*coins, hidden).uniform_(-bound, bound, generator=generator))

        self.slopes, self.heights = uniform(), uniform()
        self.offsets = nn.Parameter(torch.zeros(*coins, hidden))
        self.constant, self.scale = (nn.Parameter(torch.zeros(coins)) for _ in range(2))

    def forward(self, y: Tensor) -> Tensor:
        """A number for each coin."""
        units = torch.tanh((2 * y - 1) * self.slopes + self.offsets)
        return (self.scale * ((units * self.heights).sum(-1) + self.constant))[..., None]


@dataclass(frozen=True)
class Coin:
    """The coin at several targets: who finds out which side is cheaper?

    Args:
        runs: Independent runs of each estimator, two at least.
        steps: Steps of each.
        targets: t of the costs.
    """

    runs: int = 10
    steps: int = STEPS
    targets: tuple[float, ...] = TARGETS

    def __post_init__(self) -> None:
        check_count(self.runs, "runs", minimum=2)

    def run(self, seed: int, folder: Path, listener: Callable[[str], None]) -> dict[str, Any]:
        """Train with every estimator; see :class:`~drawgrad.studies.engine.Recipe`."""
        found: dict[str, Any] = {}
        for name, contestant in contestants((len(self.targets), self.runs), seed).items():
            listener(name)
            curves = train_coin(contestant, self.targets, steps=self.steps, runs=self.runs, seed=seed)
            found[name] = {f"{target:g}": of.progress.plain() for target, of in curves.items()}
        return {"progress": found}

    def page(self, result: dict[str, Any]) -> Page:
        """Progress at the end as a table, along the way as a figure."""
        found = {
            name: {target: Curves.read(of[f"{target:g}"]) for target in self.targets}
            for name, of in result["progress"].items()
        }
        rows = []
        for name, of in found.items():
            ends = (curves.final for curves in of.values())
            rows.append((name, *(with_spread(end.value, end.error, places=3) for end in ends)))
        note = (
            f"How much of the way from a fair coin's cost to the least cost is done after {self.steps} steps: mean and "
            f"standard error of {self.runs} runs, errors that round to zero left out; 1 is the optimum, below 0 the "
            "coin prefers the dearer side. One sample a step (two for DisARM), Adam with rate 0.01 for the logit and "
            "for what an estimator learns, as published. REBAR relaxes the cost, and a cost of nearly zero half way "
            "between the sides takes no noise away; the linear cost b (1 - 2t) + t^2 is the same for both sides."
        )
        return Page(
            "One coin b with cost (b - t)^2: progress to the optimum",
            ("estimator", *(f"t = {target:g}" for target in self.targets)),
            rows, note, lambda figure: _draw(figure, found, self.targets), signs,
            (4.2 * len(self.targets) + 1, 4.3),
        )  # fmt: skip


def _draw(figure: Figure, found: dict[str, dict[float, Curves]], targets: Sequence[float]) -> None:
    panels = figure.subplots(1, len(targets), squeeze=False, sharey=True)[0]
    for axes, target in zip(panels, targets, strict=True):
        ends = []
        for color, (name, of) in zip(COLORS, found.items(), strict=False):
            curves = of[target]
            curves.draw(axes, color)
            ends.append((name, float(curves.mean[-1]), color))
        axes.axhline(1, color=INK, lw=1, ls=(0, (4, 3)))
        last = int(curves.steps[-1])
        axes.set(xlim=(0, last), ylim=(-0.75, 1.08), xticks=[0, last // 2, last])
        plain_axes(axes, f"t = {target:g}", "step", "progress to the optimum" if axes is panels[0] else "")
        label_ends(axes, ends)
