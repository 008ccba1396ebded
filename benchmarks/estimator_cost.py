"""What one gradient of each estimator costs: a decoder from a discrete code to binary pixels, as in an autoencoder.

The code is 100 x 20 categorical variables with 10 classes, or 100 x 200 binary ones for estimators that take no others;
the cost of a sample is a linear layer from 200 numbers to 784 pixels and their negative log-likelihood. Timed are the
call and the backward pass, to the logits, the decoder and what the estimator learns, on one thread: two that wait for
each other at every small operation would time what else runs on the machine.

Run: ``python -m benchmarks.estimator_cost``
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.distributions import Bernoulli, Distribution, OneHotCategorical

from benchmarks import RESULTS
from drawgrad.estimators import ESTIMATORS, Estimator
from drawgrad.studies.records import Measurement, median_of, write

__all__ = ["Size", "main", "measure"]

LIMIT = 2**16
"""States up to which enumeration is timed."""
WARM_UP, REPEATS, FEWEST = 2, 31, 2
"""Calls of each estimator that do not count, that do, and that are made however long they take."""
PATIENCE = 5.0
"""Seconds after which no more are made."""


@dataclass(frozen=True)
class Size:
    """Sizes of the problem."""

    batch: int = 100
    variables: int = 20
    classes: int = 10
    pixels: int = 784


@dataclass(frozen=True)
class Code:
    """Independent variables: what distributes them, and its logits."""

    family: type[OneHotCategorical | Bernoulli]
    logits: Tensor
    classes: int
    variables: int

    def distribution(self) -> Distribution:
        """A fresh one, because a backward pass frees what its logits went through."""
        return self.family(logits=self.logits)


class Problem:
    """The decoder, its images, and the codes."""

    def __init__(self, size: Size) -> None:
        generator = torch.Generator().manual_seed(0)

        def drawn(*shape: int) -> Tensor:
            return torch.randn(shape, generator=generator)

        features = size.variables * size.classes
        self.weight = (drawn(size.pixels, features) / features**0.5).requires_grad_()
        self.images = drawn(size.batch, size.pixels).sign().clamp_min(0)
        categorical = drawn(size.batch, size.variables, size.classes).requires_grad_()
        binary = drawn(size.batch, features).requires_grad_()
        self.codes = (
            Code(OneHotCategorical, categorical, size.classes, size.variables),
            Code(Bernoulli, binary, 2, features),
        )

    def cost(self, z: Tensor) -> Tensor:
        """Costs ``(samples, batch)`` of samples ``(samples, batch, *code)``."""
        pixels = nn.functional.linear(z.flatten(2), self.weight)
        each = nn.functional.binary_cross_entropy_with_logits(pixels, self.images.expand_as(pixels), reduction="none")
        return each.sum(-1)

    def decode_once(self) -> None:
        """One evaluation of a fixed sample, with the gradients for it and for the decoder."""
        z = torch.nn.functional.one_hot(self.codes[0].logits.argmax(-1), self.codes[0].classes).float()
        z = z[None].requires_grad_()
        torch.autograd.grad(self.cost(z).mean(), [z, self.weight])

    def code(self, estimator: Estimator) -> Code | None:
        """The first one that the estimator takes; None if there is none, or if it would enumerate too many states."""
        code = next((code for code in self.codes if estimator.obstacle(code.distribution()) is None), None)
        if code is None or (estimator.exact and code.classes**code.variables > LIMIT):
            return None
        return code


def measure(size: Size, repeats: int = REPEATS) -> list[Measurement]:
    """Time every estimator that takes one of the codes, with its default options."""
    problem = Problem(size)
    cells = [_time_of("the decoder alone", _seconds(problem.decode_once, repeats))]
    for name in sorted(ESTIMATORS):
        estimator = ESTIMATORS[name]()
        code = problem.code(estimator)
        if code is None:
            continue
        case = f"{name} (binary)" if code.family is Bernoulli else name
        times = _seconds(_gradient_of(estimator, problem, code), repeats)
        count = estimator.evaluations(code.classes, code.variables)
        cells.append(_time_of(case, times))
        cells.append(Measurement(case, "evaluations", count, 0.0, "", 1))
        cells.append(median_of(case, "time an evaluation", [1e3 * seconds / count for seconds in times], "ms"))
    return cells


def _time_of(case: str, seconds: list[float]) -> Measurement:
    return median_of(case, "time", [1e3 * each for each in seconds], "ms")


def _gradient_of(estimator: Estimator, problem: Problem, code: Code) -> Callable[[], None]:
    """A call of the estimator with its backward pass."""
    generator = torch.Generator().manual_seed(1)

    def call() -> None:
        loss = estimator(problem.cost, code.distribution(), generator=generator).mean()
        # A network may get its size from the first call.
        own = [p for p in estimator.parameters() if p.requires_grad] if isinstance(estimator, nn.Module) else []
        torch.autograd.grad(loss, [code.logits, problem.weight, *own], allow_unused=True)

    return call


def _seconds(call: Callable[[], None], repeats: int) -> list[float]:
    """Of a call, several times after a warm-up."""
    seconds: list[float] = []
    for _ in range(repeats + WARM_UP):
        begin = time.perf_counter()
        call()
        seconds.append(time.perf_counter() - begin)
        if sum(seconds) > PATIENCE and len(seconds) >= WARM_UP + FEWEST:
            break
    return seconds[WARM_UP:]


def main(size: Size | None = None, repeats: int = REPEATS, folder: Path = RESULTS) -> Path:
    """Measure and write the record."""
    size = size or Size()
    start = time.perf_counter()
    cells = measure(size, repeats)
    path = write(
        "estimator-cost",
        title=f"One gradient at {size.batch} x {size.variables} x {size.classes}, cost a "
        f"{size.variables * size.classes}-{size.pixels} decoder, float32",
        measurements=cells,
        spread="half the interquartile range",
        command="python -m benchmarks.estimator_cost",
        seconds=time.perf_counter() - start,
        folder=folder,
    )
    for cell in cells:
        print(f"{cell.case:32} {cell.quantity:20} {cell.value:10.3f} {cell.unit}")
    print(path)
    return path


if __name__ == "__main__":
    torch.set_num_threads(1)
    main()
