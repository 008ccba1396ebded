"""Soft propagation of many boards, forward and backward, against loops over the constraints; and how its time grows.

Two loops in Python do the same sums, one constraint after the other: one calls drawgrad's own operation for a single
constraint, the other writes the formula out with torch's products, as one would at a first try.

Run: ``python -m benchmarks.logic_propagation``
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor

from benchmarks import RESULTS
from drawgrad.logic import AllDifferent, Probability, Problem, SoftDomains, sudoku
from drawgrad.studies.records import Measurement, median_of, write

__all__ = ["looped", "main", "measure", "written_out"]

ROUNDS = 4
REPEATS = 3
SCOPE, VALUES = 9, 9
"""Variables of a constraint and values of a variable in the problems that grow."""

Support = Callable[[Tensor], Tensor]


def written_out(parts: Tensor) -> Tensor:
    """Support of an all-different constraint of domains ``(batch, n, n)``, by its formula."""
    numbers = range(parts.shape[-1])
    free = 1 - parts
    other_values = torch.stack([1 - free[..., [w for w in numbers if w != v]].prod(-1) for v in numbers], -1)
    found = torch.stack([other_values[:, [j for j in numbers if j != i]].prod(1) for i in numbers], 1)
    taken = torch.stack([1 - free[:, [j for j in numbers if j != i]].prod(1) for i in numbers], 1)
    hidden = torch.stack([taken[..., [w for w in numbers if w != v]].prod(-1) for v in numbers], -1)
    return found * hidden


def looped(problem: Problem, first: Tensor, support: Support, rounds: int) -> Tensor:
    """Rounds of propagation, one constraint after the other."""
    first = first / first.amax(-1, keepdim=True)
    elements = first
    for _ in range(rounds):
        rows = list(first.unbind(1))
        for constraint in problem.constraints:
            found = support(elements[:, list(constraint.scope)])
            for place, variable in enumerate(constraint.scope):
                rows[variable] = rows[variable] * found[:, place]
        elements = torch.stack(rows, 1)
        elements = elements / elements.amax(-1, keepdim=True)
    return elements


def measure(boards: int, sizes: tuple[int, ...], batches: tuple[int, ...], repeats: int) -> list[Measurement]:
    """Time the three ways, problems of growing size, and batches that grow."""
    problem = sudoku()
    logits = torch.randn(boards, 81, 9, generator=torch.Generator().manual_seed(0)).requires_grad_()
    rule = problem.rules[0]
    ways: dict[str, Callable[[Tensor], Tensor]] = {
        f"drawgrad, {boards} boards": lambda probs: _propagated(problem, probs),
        "loop over constraints, drawgrad's operation": lambda probs: looped(
            problem, probs, lambda parts: rule.support(parts, Probability()), ROUNDS
        ),
        "loop over constraints, formula written out": lambda probs: looped(problem, probs, written_out, ROUNDS),
    }
    cells = []
    for case, way in ways.items():
        found = median_of(case, "time", _milliseconds(way, logits, repeats), "ms")
        cells += [found, Measurement(case, "against drawgrad", found.value / (cells or [found])[0].value, 0.0, "x", 1)]
    for size in sizes:
        grown = Problem(size, VALUES, [AllDifferent(range(at, at + SCOPE)) for at in range(0, size - SCOPE + 1, 3)])
        beliefs = torch.randn(8, size, VALUES, generator=torch.Generator().manual_seed(0)).requires_grad_()
        times = _milliseconds(lambda probs, grown=grown: _propagated(grown, probs), beliefs, repeats)
        cells += _per(f"{size:,} variables, {len(grown.constraints):,} constraints, batch of 8", times, 8 * size)
    for batch in batches:
        beliefs = torch.randn(batch, 81, 9, generator=torch.Generator().manual_seed(0)).requires_grad_()
        times = _milliseconds(lambda probs: _propagated(problem, probs), beliefs, repeats)
        cells += _per(f"{batch:,} boards of 81 variables", times, 81 * batch)
    return cells


def _per(case: str, times: list[float], variables: int) -> list[Measurement]:
    each = median_of(case, "time a variable", [1e3 * found / variables for found in times], "µs")
    return [median_of(case, "time", times, "ms"), each]


def _propagated(problem: Problem, probs: Tensor) -> Tensor:
    return problem.propagate(SoftDomains(probs), rounds=ROUNDS).elements


def _milliseconds(way: Callable[[Tensor], Tensor], logits: Tensor, repeats: int) -> list[float]:
    """Of forward and backward pass, after one that does not count."""
    times = []
    for _ in range(repeats + 1):
        begin = time.perf_counter()
        torch.autograd.grad(way(logits.softmax(-1)).square().mean(), logits)
        times.append(1e3 * (time.perf_counter() - begin))
    return times[1:]


def main(
    boards: int = 256, sizes: tuple[int, ...] = (100, 1000, 10_000), batches: tuple[int, ...] = (16, 64, 1024),
    repeats: int = REPEATS, folder: Path = RESULTS,
) -> Path:  # fmt: skip
    """Measure and write the record."""
    start = time.perf_counter()
    cells = measure(boards, sizes, batches, repeats)
    path = write(
        "logic-propagation",
        title=f"Soft propagation over all-different constraints, {ROUNDS} rounds, forward and backward, float32",
        measurements=cells,
        spread="half the interquartile range",
        command="python -m benchmarks.logic_propagation",
        seconds=time.perf_counter() - start,
        folder=folder,
    )
    for cell in cells:
        print(f"{cell.case:60} {cell.quantity:20} {cell.value:12.3f} {cell.unit}")
    print(path)
    return path


if __name__ == "__main__":
    torch.set_num_threads(1)
    main()
