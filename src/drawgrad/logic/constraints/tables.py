"""Relations given by their tuples, listed or computed by a function."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import torch

from drawgrad._checks import check_count, check_flag
from drawgrad._typing import Bool, Int, Tensor
from drawgrad.logic.constraints.base import Constraint, Rule, as_scope
from drawgrad.logic.semirings import Semiring

__all__ = ["Function", "Table"]

KIND = 3
MOST_TUPLES = 1 << 16
"""Combinations of values that are worth a table; more are a case for a constraint of another kind."""


@dataclass(frozen=True, init=False)
class Table(Constraint):
    r"""The values of the scope are one of some tuples, or none of them.

    .. math:: s_{iv} = \bigoplus_{t \in T,\, t_i = v} \bigotimes_{j \ne i} d_{j t_j}

    Args:
        variables: the scope.
        tuples: rows with a value for each variable of the scope.
        forbidden: whether the rows are those that are not allowed.

    Raises:
        ValueError: if a row does not have a value for each variable, or forbidden rows are too many combinations.

    Example:
        >>> from drawgrad.logic import Problem
        >>> Problem(2, 3, [Table([0, 1], [(0, 2), (1, 0)])]).solve(limit=9).solutions()
        tensor([[0, 2],
                [1, 0]])
    """

    variables: tuple[int, ...]
    tuples: tuple[tuple[int, ...], ...]
    forbidden: bool = False

    def __init__(self, variables: Sequence[int], tuples: Iterable[Sequence[int]], forbidden: bool = False) -> None:
        check_flag(forbidden, "forbidden")
        scope = as_scope(variables)
        rows = tuples.tolist() if isinstance(tuples, Tensor) else [tuple(row) for row in tuples]
        for number, row in enumerate(rows):
            if len(row) != len(scope):
                raise ValueError(
                    f"tuples[{number}] must have a value for each of the {len(scope)} variables, but it is "
                    f"{tuple(row)}; complete it"
                )
            for value in row:
                check_count(value, f"a value of tuples[{number}]")
        object.__setattr__(self, "variables", scope)
        object.__setattr__(self, "tuples", tuple(sorted({tuple(map(int, row)) for row in rows})))
        object.__setattr__(self, "forbidden", forbidden)

    @property
    def scope(self) -> tuple[int, ...]:
        return self.variables

    def rule(self, sizes: tuple[int, ...]) -> Rule:
        for row in self.tuples:
            for variable, value, size in zip(self.variables, row, sizes, strict=True):
                if value >= size:
                    raise ValueError(
                        f"tuples of {self._named()} must have values that there are, but {row} gives variable "
                        f"{variable} the value {value} of {size}; values count from 0"
                    )
        if not self.forbidden:
            return Tuples(len(sizes), self.tuples)
        given = set(self.tuples)
        return Tuples(len(sizes), tuple(row for row in _combinations(sizes, self) if row not in given))


@dataclass(frozen=True, init=False)
class Function(Constraint):
    """A function of small domains: ``result`` has its value, or, without a result, it is true.

    The function is called once for every combination of values, and becomes a :class:`Table`.

    Args:
        function: takes ints, one for each variable of the scope.
        variables: its arguments.
        result: the variable that has its value; None for a function that says whether values are allowed.

    Raises:
        ValueError: if there are too many combinations of values.

    Example:
        >>> from drawgrad.logic import Problem
        >>> Problem(3, 4, [Function(lambda x, y: x * y, [0, 1], result=2)]).solve(limit=99).counts
        tensor(12)
    """

    function: Callable[..., int]
    variables: tuple[int, ...]
    result: int | None = None

    def __init__(self, function: Callable[..., int], variables: Sequence[int], result: int | None = None) -> None:
        if not callable(function):
            raise TypeError(f"function must be callable, but it is {function!r}; give a function of ints")
        scope = as_scope(variables)
        as_scope(scope if result is None else (*scope, result), "variables with the result")
        object.__setattr__(self, "function", function)
        object.__setattr__(self, "variables", scope)
        object.__setattr__(self, "result", result)

    @property
    def scope(self) -> tuple[int, ...]:
        return self.variables if self.result is None else (*self.variables, self.result)

    def rule(self, sizes: tuple[int, ...]) -> Rule:
        if self.result is None:
            return Tuples(len(sizes), tuple(row for row in _combinations(sizes, self) if self.function(*row)))
        rows = ((*row, int(self.function(*row))) for row in _combinations(sizes[:-1], self))
        return Tuples(len(sizes), tuple(row for row in rows if 0 <= row[-1] < sizes[-1]))


def _combinations(sizes: Sequence[int], constraint: Constraint) -> Iterable[tuple[int, ...]]:
    count = math.prod(sizes)
    if count > MOST_TUPLES:
        raise ValueError(
            f"{type(constraint).__name__} of variables {constraint.scope} has {count} combinations of values, more "
            f"than {MOST_TUPLES}; split it by helping variables, or use Linear, Element or another kind"
        )
    return itertools.product(*(range(size) for size in sizes))


@dataclass(frozen=True)
class Tuples(Rule):
    """One of some tuples."""

    arity: int
    tuples: tuple[tuple[int, ...], ...]

    def tables(self, values: int) -> tuple[Tensor, ...]:
        """Where the tuples' values lie in flat domains; and for each position and value, which tuples have it."""
        rows = torch.tensor(self.tuples, dtype=torch.int64, device="cpu").reshape(-1, self.arity)
        count = len(rows)
        holders: list[list[int]] = [[] for _ in range(self.arity * values)]
        for number, row in enumerate(self.tuples):
            for position, value in enumerate(row):
                holders[position * values + value].append(position * count + number)
        width = max(map(len, holders))
        nothing = self.arity * count
        padded = [found + [nothing] * (width - len(found)) for found in holders]
        places = rows + values * torch.arange(self.arity, device="cpu")
        return places.T.flatten(), torch.tensor(padded, dtype=torch.int64, device="cpu").flatten()

    def support(self, elements: Tensor, semiring: Semiring, *tables: Tensor) -> Tensor:
        if not self.tuples:
            return semiring.lift(torch.zeros_like(elements, dtype=torch.bool), elements)
        places, holders = tables
        parts = elements.flatten(-2).index_select(-1, places).unflatten(-1, (self.arity, len(self.tuples)))
        others = semiring.product_of_others(parts, -2).flatten(-2)
        nothing = semiring.lift(torch.zeros_like(others[..., :1], dtype=torch.bool), elements)
        proofs = torch.cat([others, nothing], -1).index_select(-1, holders)
        return semiring.sum(proofs.unflatten(-1, (self.arity, elements.shape[-1], -1)), -1)

    def holds(self, values: Int[Tensor, "*shape arity"]) -> Bool[Tensor, "*shape"]:
        if not self.tuples:
            return torch.zeros(values.shape[:-1], dtype=torch.bool, device=values.device)
        rows = torch.tensor(self.tuples, device=values.device)
        return (values[..., None, :] == rows).all(-1).any(-1)

    def code(self) -> tuple[int, ...]:
        """The number of tuples, and one after the other."""
        return KIND, len(self.tuples), *itertools.chain.from_iterable(self.tuples)
