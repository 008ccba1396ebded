"""Random problems with constraints of every kind."""

from __future__ import annotations

from collections.abc import Callable

import torch

from drawgrad.logic import (
    AllDifferent,
    Cardinality,
    Clause,
    Constraint,
    Element,
    Equal,
    Function,
    HardDomains,
    Less,
    Linear,
    NotEqual,
    Problem,
    Table,
)

VARIABLES, VALUES = 6, 4


def pick(count: int, of: int, generator: torch.Generator) -> list[int]:
    """Different numbers below ``of``, in random order."""
    return torch.randperm(of, generator=generator)[:count].tolist()


def number(low: int, high: int, generator: torch.Generator) -> int:
    """An integer from ``low`` to ``high``."""
    return int(torch.randint(low, high + 1, (), generator=generator))


def _linear(g: torch.Generator) -> Linear:
    scope = pick(number(1, 4, g), VARIABLES, g)
    weights = [number(-3, 3, g) for _ in scope]
    relation = ("==", "!=", "<=", ">=", "<", ">")[number(0, 5, g)]
    return Linear(scope, weights, relation, number(-4, 8, g))


def _total(g: torch.Generator) -> Linear:
    *scope, total = pick(number(2, 4, g), VARIABLES, g)
    return Linear(scope, [number(1, 2, g) for _ in scope], "==", -number(0, 2, g), total=total)


def _table(g: torch.Generator) -> Table:
    scope = pick(number(1, 3, g), VARIABLES, g)
    rows = torch.randint(0, VALUES, (number(0, 12, g), len(scope)), generator=g)
    return Table(scope, rows.tolist(), forbidden=bool(number(0, 1, g)))


def _cardinality(g: torch.Generator) -> Cardinality:
    scope = pick(number(1, 6, g), VARIABLES, g)
    least = number(0, len(scope), g)
    return Cardinality(scope, least, number(least, len(scope), g), value=number(0, VALUES - 1, g))


def _element(g: torch.Generator) -> Element:
    index, result, *array = pick(number(3, 6, g), VARIABLES, g)
    return Element(index, array, result)


KINDS: dict[str, Callable[[torch.Generator], Constraint]] = {
    "AllDifferent": lambda g: AllDifferent(pick(number(1, 4, g), VARIABLES, g)),
    "AllDifferent without hidden": lambda g: AllDifferent(pick(4, VARIABLES, g), hidden=False),
    "AllDifferent by matching": lambda g: AllDifferent(pick(number(1, 5, g), VARIABLES, g), matching=True),
    "Equal": lambda g: Equal(*pick(2, VARIABLES, g)),
    "NotEqual": lambda g: NotEqual(*pick(2, VARIABLES, g)),
    "Less": lambda g: Less(*pick(2, VARIABLES, g)),
    "Table": _table,
    "Function": lambda g: Function(lambda x, y: (x * y + 1) % VALUES, pick(2, VARIABLES - 1, g), VARIABLES - 1),
    "Predicate": lambda g: Function(lambda x, y, z: x + y >= z, pick(3, VARIABLES, g)),
    "Linear": _linear,
    "Linear with total": _total,
    "Cardinality": _cardinality,
    "Element": _element,
}
"""Of variables with ``VALUES`` values; clauses, which need two, have problems of their own."""


def of_kind(kind: str, seed: int, constraints: int = 3) -> Problem:
    """A problem with constraints of one kind."""
    generator = torch.Generator().manual_seed(seed)
    if kind == "Clause":
        return _clauses(generator, constraints)
    return Problem(VARIABLES, VALUES, [KINDS[kind](generator) for _ in range(constraints)])


def mixed(seed: int, constraints: int = 5) -> Problem:
    """A problem with constraints of random kinds."""
    generator = torch.Generator().manual_seed(seed)
    kinds = list(KINDS.values())
    return Problem(
        VARIABLES, VALUES, [kinds[number(0, len(kinds) - 1, generator)](generator) for _ in range(constraints)]
    )


def _clauses(g: torch.Generator, count: int) -> Problem:
    clauses = []
    for _ in range(count):
        scope = pick(number(1, 4, g), VARIABLES, g)
        positive = number(0, len(scope), g)
        clauses.append(Clause(scope[:positive], scope[positive:]))
    return Problem(VARIABLES, 2, clauses)


def random_domains(problem: Problem, seed: int, batch: int = 64, keep: float = 0.7) -> HardDomains:
    """Random sets of values, some of them empty."""
    generator = torch.Generator().manual_seed(seed)
    mask = torch.rand(batch, problem.variables, problem.values, generator=generator) < keep
    return HardDomains.from_mask(mask & (torch.arange(problem.values) < torch.tensor(problem.sizes)[:, None]))


def all_assignments(problem: Problem) -> torch.Tensor:
    """Every assignment of values, ``(count, variables)``, in ascending order."""
    return torch.cartesian_prod(*(torch.arange(size) for size in problem.sizes)).reshape(-1, problem.variables)
