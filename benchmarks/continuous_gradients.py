"""Gradients of expectations over continuous choices: pathwise and by the score function, against quadrature.

One row for each distribution, parameter and cost. Every draw has parameters of its own, so that the gradients of single
draws are known, their mean with its standard error, and their variance.

Run: ``python -m benchmarks.continuous_gradients``
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.distributions import Beta, Categorical, Distribution, Gamma, Normal, StudentT

from benchmarks import RESULTS
from drawgrad.distributions import Logistic, MixtureOfNormals, TruncatedNormal, VonMises, rsample
from drawgrad.studies.records import Measurement, write

__all__ = ["main"]

DRAWS = 200_000
POINTS = 400_000
SEED = 1

Cost = Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class Family:
    """A distribution, its parameters, an interval beyond which nothing happens, and two costs."""

    name: str
    make: Callable[..., Distribution]
    parameters: dict[str, float]
    interval: tuple[float, float]
    moment: tuple[str, Cost] = ("x^2", torch.square)
    cost: tuple[str, Cost] = ("tanh(2x - 1)", lambda x: torch.tanh(2 * x - 1))


def _truncated(loc: Tensor, scale: Tensor) -> TruncatedNormal:
    return TruncatedNormal(loc, scale, -1.0, 2.0)


def _mixture(weight: Tensor, loc: Tensor, scale: Tensor) -> MixtureOfNormals:
    """Of two components; the parameters are those of the first."""
    logits = torch.stack([weight, torch.zeros_like(weight)], -1)
    locs, scales = (
        torch.stack([loc, loc.new_full(loc.shape, 1.5)], -1),
        torch.stack([scale, torch.ones_like(scale)], -1),
    )
    return MixtureOfNormals(Categorical(logits=logits), Normal(locs, scales))


FAMILIES = [
    Family("Logistic", Logistic, {"loc": 0.3, "scale": 0.6}, (-30, 30)),
    Family("MixtureOfNormals", _mixture, {"weight": 0.4, "loc": -1.0, "scale": 0.6}, (-12, 14)),
    Family("TruncatedNormal", _truncated, {"loc": 0.3, "scale": 0.8}, (-1, 2)),
    Family(
        "VonMises",
        VonMises,
        {"loc": 0.4, "concentration": 1.8},
        (-math.pi, math.pi),
        moment=("cos x", torch.cos),
        cost=("exp(sin 2x)", lambda x: (2 * x).sin().exp()),
    ),
    Family("Gamma", Gamma, {"concentration": 2.5, "rate": 1.3}, (0, 60)),
    Family("Beta", Beta, {"concentration1": 2.0, "concentration0": 3.0}, (0, 1)),
    Family("StudentT", StudentT, {"df": 8.0, "loc": 0.3, "scale": 0.7}, (-300, 300)),
]


def exact(family: Family, cost: Cost) -> list[Tensor]:
    """Derivatives of the expectation, by the midpoint rule over the density."""
    low, high = family.interval
    step = (high - low) / POINTS
    x = low + step * (torch.arange(POINTS, dtype=torch.float64) + 0.5)
    leaves = [torch.tensor(value, dtype=torch.float64, requires_grad=True) for value in family.parameters.values()]
    value = (cost(x) * family.make(*leaves).log_prob(x).exp()).sum() * step
    return list(torch.autograd.grad(value, leaves))


def single_gradients(family: Family, cost: Cost, score: bool) -> list[Tensor]:
    """Gradients of single draws."""
    leaves = [
        torch.full((DRAWS,), value, dtype=torch.float64, requires_grad=True) for value in family.parameters.values()
    ]
    q = family.make(*leaves)
    x = rsample(q, seed=SEED)
    if score:
        x = x.detach()
        return list(torch.autograd.grad((cost(x) * q.log_prob(x)).sum(), leaves))
    return list(torch.autograd.grad(cost(x).sum(), leaves))


def measure() -> list[Measurement]:
    """All cells of the record."""
    cells = []
    for family in FAMILIES:
        for label, cost in (family.moment, family.cost):
            truth = exact(family, cost)
            pathwise, score = (single_gradients(family, cost, score) for score in (False, True))
            for number, parameter in enumerate(family.parameters):
                case = f"{family.name}, {parameter}: {label}"
                cells.append(Measurement(case, "quadrature", truth[number].item(), 0.0, "", 1))
                for name, found in (("pathwise", pathwise[number]), ("score function", score[number])):
                    error = (found.var() / DRAWS).sqrt().item()
                    # Where the derivative is the same for every draw there is rounding only.
                    cells.append(Measurement(case, name, found.mean().item(), max(error, 1e-12), "", DRAWS))
                ratio = (score[number].var() / pathwise[number].var().clamp_min(1e-20)).item()
                cells.append(Measurement(case, "variance, score over pathwise", ratio, 0.0, "x", DRAWS))
    return cells


def main() -> None:
    """Measure and write the record."""
    start = time.perf_counter()
    cells = measure()
    path = write(
        "continuous-gradients",
        title="Derivatives of E[f(x)] for a parameter of the distribution of x",
        measurements=cells,
        spread="standard error over draws",
        command="python -m benchmarks.continuous_gradients",
        seconds=time.perf_counter() - start,
        folder=RESULTS,
    )
    for cell in cells:
        print(f"{cell.case:45} {cell.quantity:30} {cell.value:12.5f} +- {cell.spread:.5f} {cell.unit}")
    print(path)


if __name__ == "__main__":
    main()
