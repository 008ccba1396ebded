"""Two claims of the literature, measured: how variance grows as a temperature falls, and DARN as it is printed.

Run: ``python -m benchmarks.literature``
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor
from torch.distributions import OneHotCategorical

from benchmarks import RESULTS
from drawgrad.estimators import Darn, Estimator, Exact, GumbelSoftmax, STGumbelSoftmax
from drawgrad.functional import fold_seed, gumbel_max
from drawgrad.studies.records import Measurement, mean_of, write

__all__ = ["darn_as_printed", "main"]

CLASSES = 8
TEMPERATURES = (0.02, 0.04, 0.08, 0.16)
COLD: dict[str, Callable[[float], Estimator]] = {
    "Gumbel-Softmax": lambda tau: GumbelSoftmax(tau=tau),
    "ST Gumbel-Softmax": lambda tau: STGumbelSoftmax(tau=tau),
}


def main(draws: int = 100_000, repeats: int = 5, folder: Path = RESULTS) -> Path:
    """Measure both and write the record."""
    start = time.perf_counter()
    cells = [
        mean_of(
            f"{name}: power of tau in the variance",
            "measured",
            [_power(make, draws, fold_seed(0, run)) for run in range(repeats)],
        )
        for name, make in COLD.items()
    ]
    cells += [_printed(cell.case, -2.0) for cell in cells]
    linear = {
        "DARN as printed, linear cost: length of the mean gradient over the exact one": darn_as_printed,
        "DARN about the sample, at the mean, linear cost: the same": lambda rows, seed: _gradients(Darn(), rows, seed),
    }
    exact = _gradients(Exact(), 1, torch.tensor(0))[0].norm()
    for case, gradients in linear.items():
        lengths = [gradients(draws, fold_seed(1, run)).mean(0).norm() / exact for run in range(repeats)]
        cells += [mean_of(case, "measured", [length.item() for length in lengths]), _printed(case, 1.0)]
    path = write(
        "literature",
        title="Claims of the literature, measured: one variable with 8 classes, logits zero",
        measurements=cells,
        spread="standard error over repeats",
        command="python -m benchmarks.literature",
        seconds=time.perf_counter() - start,
        folder=folder,
    )
    for cell in cells:
        print(f"{cell.case:80} {cell.quantity:10} {cell.value:8.4f} ± {cell.spread:.4f}")
    return path


def darn_as_printed(rows: int, seed: Tensor) -> Tensor:
    """The score function with the baseline f(z0) + f'(z0)(D - z0), whose own gradient is dropped; z0 = 1/K."""
    index = gumbel_max(torch.zeros(rows, CLASSES), seed=seed)
    drawn = torch.nn.functional.one_hot(index, CLASSES).float()
    point = torch.full((CLASSES,), 1 / CLASSES, requires_grad=True)
    value = _linear(point)
    (slope,) = torch.autograd.grad(value, point)
    signal = _linear(drawn) - value - (drawn - point) @ slope
    return (signal[:, None] * (drawn - 1 / CLASSES)).detach()


def _power(make: Callable[[float], Estimator], draws: int, seed: Tensor) -> float:
    """The slope of log variance over log temperature, by least squares."""
    x = torch.tensor(TEMPERATURES).log()
    y = torch.stack([_gradients(make(tau), draws, seed, _bent).var(0).sum() for tau in TEMPERATURES]).log()
    return (((x - x.mean()) * (y - y.mean())).sum() / (x - x.mean()).square().sum()).item()


def _gradients(estimator: Estimator, rows: int, seed: Tensor, cost: Callable[[Tensor], Tensor] | None = None) -> Tensor:
    """Independent gradients for the logits, one a row."""
    logits = torch.zeros(rows, CLASSES, requires_grad=True)
    loss = estimator(cost or _linear, OneHotCategorical(logits=logits), seed=seed)
    return torch.autograd.grad(loss.sum(), logits)[0]


def _linear(z: Tensor) -> Tensor:
    return z @ torch.linspace(0, 1, CLASSES)


def _bent(z: Tensor) -> Tensor:
    return (z @ torch.linspace(-1, 1, CLASSES)).exp()


def _printed(case: str, value: float) -> Measurement:
    return Measurement(case, "claimed", value, 0.0, "", 1)


if __name__ == "__main__":
    torch.set_num_threads(1)
    main()
