"""The smallest problem with a discrete choice: one coin whose cost hardly depends on its side.

Minimise E[(b - t)^2] over the logit of a Bernoulli variable b, starting from a fair coin. For t just below 1/2 the
optimum is never to throw a one, but the two costs differ by 1 - 2 t only, and the score function must find that
difference in the noise of the costs themselves. The set-up is that of Grathwohl et al. (2018), after Tucker et al.
(2017): one sample a step, Adam with rate 0.01 for the logit and for what the estimator learns.

Both costs are 1/4, nearly, and a constant baseline would take that noise away. What a control variate made of c(z)
takes away is decided at the threshold z = 0 where b changes: given b = 1 its mean is -c(0) p(0) / P(b = 1), with p the
density of z, whatever c is elsewhere. REBAR's c(0) is eta (1/2 - t)^2, nearly nothing, so it cannot help here and
learns an eta near zero. RELAX learns a c that is near the costs everywhere.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.distributions import Bernoulli

from drawgrad._checks import check_count
from drawgrad.estimators import DisArm, Estimator, Rebar, Reinforce, Relax
from drawgrad.functional import draw_seed

__all__ = ["ToyCurves", "independent_runs", "train_toy"]


@dataclass(frozen=True)
class ToyCurves:
    """How independent runs of one estimator went.

    Attributes:
        target: t of the cost.
        steps: the steps after which was looked, shape ``(looks,)``; the first one is 0.
        probability: P(b = 1) then, shape ``(looks, runs)``.
    """

    target: float
    steps: Tensor
    probability: Tensor

    @property
    def cost(self) -> Tensor:
        """The expected cost, exactly, shape ``(looks, runs)``."""
        return self.probability * (1 - self.target) ** 2 + (1 - self.probability) * self.target**2

    @property
    def optimum(self) -> float:
        """The least expected cost."""
        return min(self.target, 1 - self.target) ** 2

    @property
    def progress(self) -> Tensor:
        """How much of the way from a fair coin's cost to the least one is done, shape ``(looks, runs)``; 1 is all."""
        start = (self.target**2 + (1 - self.target) ** 2) / 2
        return (start - self.cost) / (start - self.optimum)


def train_toy(
    estimator: Estimator,
    *,
    target: float = 0.499,
    steps: int = 5000,
    runs: int = 10,
    lr: float = 0.01,
    every: int = 100,
    seed: int = 0,
) -> ToyCurves:
    """Train a batch of coins, each a run of its own, by gradients of one estimator.

    Args:
        estimator: one that takes a Bernoulli variable; what it learns must be per run, see :func:`independent_runs`.
        target: t, between 0 and 1, not 1/2.
        steps: steps of Adam.
        runs: independent runs, trained at once.
        lr: learning rate, of the coins and of the estimator's parameters.
        every: steps from one look at the coins to the next.
        seed: of all draws.

    Returns:
        The coins' probabilities of a one, along the way.
    """
    for value, name in ((steps, "steps"), (runs, "runs"), (every, "every")):
        check_count(value, name, minimum=1)
    logits = torch.zeros(runs, requires_grad=True)
    learned = list(estimator.parameters()) if isinstance(estimator, nn.Module) else []
    optimizer = torch.optim.Adam([logits, *learned], lr=lr)
    generator = torch.Generator().manual_seed(seed)
    looks, found = [0], [logits.detach().sigmoid()]
    for step in range(1, steps + 1):
        q = Bernoulli(logits=logits, validate_args=False)
        loss = estimator(lambda b: (b - target) ** 2, q, seed=draw_seed(generator=generator))
        optimizer.zero_grad()
        loss.sum().backward()
        optimizer.step()
        if step % every == 0 or step == steps:
            looks.append(step)
            found.append(logits.detach().sigmoid())
    return ToyCurves(target, torch.tensor(looks), torch.stack(found))


def independent_runs(runs: int, seed: int = 0) -> dict[str, Estimator]:
    """The estimators of the published figure, each with parameters of its own for every run.

    As published: eta begins at 1, the temperature at 1/2, RELAX has ten tanh units. Antithetic coins are added, which
    know without learning that a constant does not matter.

    Args:
        runs: how many runs the coins are.
        seed: of the initial weights.
    """
    return {
        "REINFORCE": Reinforce(),
        "DisARM": DisArm(),
        "REBAR": Rebar(eta=torch.ones(runs), tau=torch.full((runs,), 0.5)),
        "RELAX": Relax(network=_Perceptrons(runs, 10, seed), tau=torch.full((runs,), 0.5)),
    }


class _Perceptrons(nn.Module):
    """A network of one layer of tanh units for each run; maps ``(samples, runs, 1)`` to the same shape."""

    def __init__(self, runs: int, hidden: int, seed: int) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(seed)

        def uniform(bound: float) -> nn.Parameter:
            return nn.Parameter(torch.empty(runs, hidden).uniform_(-bound, bound, generator=generator))

        self.slopes, self.offsets = uniform(1.0), uniform(1.0)
        self.heights = uniform(1 / math.sqrt(hidden))
        self.constant = nn.Parameter(torch.zeros(runs))

    def forward(self, x: Tensor) -> Tensor:
        """A number for each run."""
        units = torch.tanh(x * self.slopes + self.offsets)
        return ((units * self.heights).sum(-1) + self.constant)[..., None]
