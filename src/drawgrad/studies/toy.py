"""The smallest problem with a discrete choice: one coin whose cost hardly depends on its side.

Minimise E[(b - t)^2] over the logit of a Bernoulli variable b, starting from a fair coin. For t just below 1/2 the
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

import torch
from torch import nn
from torch.distributions import Bernoulli

from drawgrad._checks import check_count
from drawgrad._typing import Float, Int, Tensor
from drawgrad.estimators import DisArm, Estimator, Rebar, Reinforce, Relax
from drawgrad.functional import draw_seed

__all__ = ["Contestant", "ToyCurves", "contestants", "linear", "quadratic", "train_toy"]


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
class ToyCurves:
    """How independent runs of one estimator went.

    Attributes:
        target: t of the cost.
        steps: the steps after which was looked; the first one is 0.
        probability: P(b = 1) then.
    """

    target: float
    steps: Int[Tensor, "looks"]
    probability: Float[Tensor, "looks runs"]

    @property
    def cost(self) -> Float[Tensor, "looks runs"]:
        """The expected cost, exactly."""
        return self.probability * (1 - self.target) ** 2 + (1 - self.probability) * self.target**2

    @property
    def optimum(self) -> float:
        """The least expected cost."""
        return min(self.target, 1 - self.target) ** 2

    @property
    def progress(self) -> Float[Tensor, "looks runs"]:
        """How much of the way from a fair coin's cost to the least one is done; 1 is all."""
        sign = math.copysign(1.0, 0.5 - self.target)
        return sign * (1 - 2 * self.probability)

    def after(self, step: int) -> Float[Tensor, "runs"]:
        """The progress after a step at which was looked."""
        return self.progress[self.steps.tolist().index(step)]


def train_toy(
    contestant: Contestant,
    targets: Sequence[float],
    *,
    steps: int,
    runs: int,
    lr: float = 0.01,
    every: int = 100,
    seed: int = 0,
) -> dict[float, ToyCurves]:
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
    for value, name in ((steps, "steps"), (runs, "runs"), (every, "every")):
        check_count(value, name, minimum=1)
    estimator, t = contestant.estimator, torch.tensor(targets)[:, None]
    logits = torch.zeros(len(targets), runs, requires_grad=True)
    learned = list(estimator.parameters()) if isinstance(estimator, nn.Module) else []
    optimizer = torch.optim.Adam([logits, *learned], lr=lr, fused=True)
    generator = torch.Generator().manual_seed(seed)
    looks, found = [0], [logits.detach().sigmoid()]
    for step in range(1, steps + 1):
        q = Bernoulli(logits=logits, validate_args=False)
        loss = estimator(lambda b: contestant.cost(b, t), q, seed=draw_seed(generator=generator))
        optimizer.zero_grad()
        loss.sum().backward()
        optimizer.step()
        if step % every == 0 or step == steps:
            looks.append(step)
            found.append(logits.detach().sigmoid())
    all_looks = torch.stack(found)
    return {target: ToyCurves(target, torch.tensor(looks), all_looks[:, index]) for index, target in enumerate(targets)}


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
