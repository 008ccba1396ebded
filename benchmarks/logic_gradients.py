"""How far the gradient of soft propagation is from the exact one, for each constraint by itself and for some together.

Beliefs are random: logits of a standard normal distribution for each variable but the last, of which nothing is
believed. The loss is -log of the probability that the last variable has a value which it can have; its gradient goes to
the logits. Exact is the sum over all solutions. Shown are the mean cosine of the two, and the length of the
difference in lengths of the exact one, over random beliefs: for three rounds of probabilities, and for one and three
rounds in the log semiring. One round of it is exact for one constraint whose rule is a sum over its tuples, which those
of all-different without matching, element and clause are not; more rounds count beliefs that come back.

Run: ``python -m benchmarks.logic_gradients``
"""

from __future__ import annotations

import time
from pathlib import Path

import torch
from torch import Tensor

from benchmarks import RESULTS
from drawgrad.logic import (
    AllDifferent,
    Cardinality,
    Clause,
    Element,
    Equal,
    Function,
    Less,
    Linear,
    Log,
    NotEqual,
    Probability,
    Problem,
    Semiring,
    Table,
    all_solutions,
    marginals,
)
from drawgrad.studies.records import Measurement, write

__all__ = ["PROBLEMS", "compare", "main"]

DRAWS = 400
WAYS: dict[str, tuple[Semiring, int]] = {"3 rounds": (Probability(), 3), "Log, 1 round": (Log(), 1),
                                         "Log, 3 rounds": (Log(), 3)}  # fmt: skip
"""Semiring and number of rounds."""

PROBLEMS = {
    "AllDifferent of 4": Problem(4, 4, [AllDifferent(range(4))]),
    "AllDifferent of 4, without hidden singles": Problem(4, 4, [AllDifferent(range(4), hidden=False)]),
    "AllDifferent of 4, by matching": Problem(4, 4, [AllDifferent(range(4), matching=True)]),
    "Equal": Problem(2, 4, [Equal(0, 1)]),
    "NotEqual": Problem(2, 4, [NotEqual(0, 1)]),
    "Less": Problem(2, 4, [Less(0, 1)]),
    "Table of 8 tuples": Problem(3, 4, [Table(range(3), [(i % 4, i // 2, (3 * i + 1) % 4) for i in range(8)])]),
    "Linear: x + y = z": Problem(3, [4, 4, 7], [Linear([0, 1], [1, 1], "==", total=2)]),
    "Linear: a + 2b + 3c <= 6": Problem(3, 4, [Linear(range(3), [1, 2, 3], "<=", 6)]),
    "Cardinality: 2 of 4": Problem(4, 2, [Cardinality(range(4), 2, 2)]),
    "Element": Problem(4, [2, 4, 4, 4], [Element(0, [1, 2], 3)]),
    "Clause of 4": Problem(4, 2, [Clause([0, 3], [1, 2])]),
    "Function: x y mod 5": Problem(3, 5, [Function(lambda x, y: x * y % 5, [0, 1], result=2)]),
    "a chain of 4 Less": Problem(4, 6, [Less(i, i + 1) for i in range(3)]),
    "a loop of 4 NotEqual": Problem(4, 3, [NotEqual(i, (i + 1) % 4) for i in range(4)]),
    "all pairs of 4 NotEqual": Problem(4, 4, [NotEqual(i, j) for i in range(4) for j in range(i)]),
}


def compare(problem: Problem, semiring: Semiring, rounds: int, draws: int) -> tuple[Tensor, Tensor]:
    """Cosine to the exact gradient and relative length of the difference, ``(draws,)`` each."""
    generator = torch.Generator().manual_seed(0)
    shape = (draws, problem.variables, problem.values)
    logits = torch.randn(shape, dtype=torch.float64, generator=generator)
    size = torch.tensor(problem.sizes)[:, None]
    logits = logits.masked_fill(torch.arange(problem.values) >= size, -torch.inf).requires_grad_()
    candidates = all_solutions(problem)[:, -1].unique()
    target = candidates[torch.randint(len(candidates), (draws, 1), generator=generator)]
    believed = torch.arange(problem.variables) < problem.variables - 1
    domains = problem.domains(logits.softmax(-1), where=believed)
    found = []
    for beliefs in (marginals(problem, domains), problem.propagate(domains, semiring, rounds=rounds)):
        loss = -beliefs.log_probs()[:, -1].gather(-1, target).sum()
        (gradient,) = torch.autograd.grad(loss, logits, retain_graph=True)
        found.append(gradient[:, :-1].flatten(1).nan_to_num())
    exact, soft = found
    # A value that every belief allows alike has no gradient to compare.
    some = exact.norm(dim=-1) > 1e-9
    exact, soft = exact[some], soft[some]
    cosine = torch.nn.functional.cosine_similarity(exact, soft, dim=-1)
    return cosine, (soft - exact).norm(dim=-1) / exact.norm(dim=-1)


def main(draws: int = DRAWS, folder: Path = RESULTS) -> Path:
    """Compare and write the record."""
    start = time.perf_counter()
    cells = []
    for case, problem in PROBLEMS.items():
        for name, (semiring, rounds) in WAYS.items():
            cosine, off = compare(problem, semiring, rounds, draws)
            for quantity, values in ((f"cosine, {name}", cosine), (f"error, {name}", off)):
                spread = float(values.std() / len(values) ** 0.5)
                cells.append(Measurement(case, quantity, float(values.mean()), spread, "", len(values)))
    path = write(
        "logic-gradients",
        title="The gradient of soft propagation against the exact one, over random beliefs",
        measurements=cells,
        spread="standard error",
        command="python -m benchmarks.logic_gradients",
        seconds=time.perf_counter() - start,
        folder=folder,
    )
    for cell in cells:
        print(f"{cell.case:45} {cell.quantity:20} {cell.value:8.4f} ± {cell.spread:.4f}")
    print(path)
    return path


if __name__ == "__main__":
    torch.set_num_threads(1)
    main()
