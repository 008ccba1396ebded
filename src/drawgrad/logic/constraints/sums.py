"""Sums with integer weights, and counts, which are sums of zeros and ones."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import torch

from drawgrad._checks import check_count
from drawgrad._typing import Bool, Int, Tensor
from drawgrad.logic.constraints._states import from_both_ends
from drawgrad.logic.constraints.base import Constraint, Rule, as_scope
from drawgrad.logic.semirings import Semiring

__all__ = ["Cardinality", "Linear"]

KIND = 4
MOST_SUMS = 1 << 14
"""Different sums that one constraint may have; each is a state of its dynamic programme."""

Relation = Literal["==", "!=", "<=", ">=", "<", ">"]


@dataclass(frozen=True, init=False)
class Linear(Constraint):
    r"""A sum of variables with integer weights, compared with a number or with another variable.

    .. math:: \sum_i a_i x_i \;\square\; c

    A value has support as far as the others have values that complete the sum: by convolution of the domains from both
    ends.

    Args:
        variables: the scope.
        weights: an integer for each variable.
        relation: "==", "!=", "<=", ">=", "<" or ">".
        constant: what the sum is compared with.
        total: a variable whose value is added to the constant.

    Raises:
        ValueError: if there are more or fewer weights than variables, or an unknown relation.
        TypeError: if a weight or the constant is no integer.

    Example:
        >>> from drawgrad.logic import Problem
        >>> Problem(3, 10, [Linear([0, 1], [1, 1], "==", total=2)]).solve(limit=99).counts
        tensor(55)
    """

    variables: tuple[int, ...]
    weights: tuple[int, ...]
    relation: Relation
    constant: int = 0
    total: int | None = None

    def __init__(
        self,
        variables: Sequence[int],
        weights: Sequence[int],
        relation: Relation,
        constant: int = 0,
        *,
        total: int | None = None,
    ) -> None:
        scope = as_scope(variables)
        as_scope(scope if total is None else (*scope, total), "variables with the total")
        weights = tuple(weights)
        for name, number in (*((f"weights[{i}]", w) for i, w in enumerate(weights)), ("constant", constant)):
            check_count(number, name, minimum=-(2**31))
        if len(weights) != len(scope):
            raise ValueError(
                f"weights must be one for each of the {len(scope)} variables, but there are {len(weights)}; give 1 for "
                "a plain sum"
            )
        _compare(0, relation)
        for name, given in (("variables", scope), ("weights", tuple(map(int, weights))), ("relation", relation),
                            ("constant", int(constant)), ("total", total)):  # fmt: skip
            object.__setattr__(self, name, given)

    @property
    def scope(self) -> tuple[int, ...]:
        return self.variables if self.total is None else (*self.variables, self.total)

    def rule(self, sizes: tuple[int, ...]) -> Rule:
        weights = self.weights if self.total is None else (*self.weights, -1)
        table = [[weight * value for value in range(size)] for weight, size in zip(weights, sizes, strict=True)]
        return _sums(self, table, lambda total: _compare(total - self.constant, self.relation))


@dataclass(frozen=True, init=False)
class Cardinality(Constraint):
    """How many variables of the scope have a certain value: at least, at most, or exactly so many.

    Args:
        variables: the scope.
        at_least: the least count.
        at_most: the greatest count; None for no limit.
        value: which value is counted.

    Raises:
        ValueError: if no count is possible: a least one above the greatest, or above the number of variables.

    Example:
        >>> from drawgrad.logic import Problem
        >>> Problem(4, 2, [Cardinality(range(4), at_least=2, at_most=2)]).solve(limit=99).counts
        tensor(6)

    References:
        Ahmed, Zeng, Niepert, Van den Broeck. SIMPLE: a gradient estimator for k-subset sampling. ICLR 2023 (the same
        recursion, for marginals of subsets).
    """

    variables: tuple[int, ...]
    at_least: int
    at_most: int
    value: int

    def __init__(self, variables: Sequence[int], at_least: int = 0, at_most: int | None = None, value: int = 1) -> None:
        scope = as_scope(variables)
        at_most = len(scope) if at_most is None else at_most
        for name, number in (("at_least", at_least), ("at_most", at_most), ("value", value)):
            check_count(number, name)
        if at_least > min(at_most, len(scope)):
            raise ValueError(
                f"at_least must not exceed at_most, {at_most}, nor the {len(scope)} variables, but it is {at_least}; "
                "no count would do"
            )
        for name, given in (("variables", scope), ("at_least", at_least), ("at_most", at_most), ("value", value)):
            object.__setattr__(self, name, given)

    @property
    def scope(self) -> tuple[int, ...]:
        return self.variables

    def rule(self, sizes: tuple[int, ...]) -> Rule:
        for variable, size in zip(self.variables, sizes, strict=True):
            if self.value >= size:
                raise ValueError(
                    f"value of {self._named()} must be one that there is, but it is {self.value} and variable "
                    f"{variable} has {size} values; values count from 0"
                )
        table = [[int(value == self.value) for value in range(size)] for size in sizes]
        return _sums(self, table, lambda count: self.at_least <= count <= self.at_most)


def _compare(difference: int, relation: str) -> bool:
    match relation:
        case "==":
            return difference == 0
        case "!=":
            return difference != 0
        case "<=":
            return difference <= 0
        case ">=":
            return difference >= 0
        case "<":
            return difference < 0
        case ">":
            return difference > 0
        case _:
            raise ValueError(f'relation must be "==", "!=", "<=", ">=", "<" or ">", but it is {relation!r}; write one')


def _sums(constraint: Constraint, table: list[list[int]], allowed: Callable[[int], bool]) -> Sums:
    least = [min(row) for row in table]
    steps = tuple(tuple(weight - low for weight in row) for row, low in zip(table, least, strict=True))
    count = 1 + sum(max(row) for row in steps)
    if count > MOST_SUMS:
        raise ValueError(
            f"{type(constraint).__name__} of variables {constraint.scope} can have {count} different sums, more than "
            f"{MOST_SUMS}; split it by helping variables"
        )
    return Sums(steps, tuple(allowed(sum(least) + total) for total in range(count)))


@dataclass(frozen=True)
class Sums(Rule):
    """Value v of position i adds ``steps[i][v]``, from 0 on, and the total is one where ``allowed[total]``."""

    steps: tuple[tuple[int, ...], ...]
    allowed: tuple[bool, ...]

    @property
    def arity(self) -> int:  # type: ignore[override]
        """Number of variables."""
        return len(self.steps)

    def tables(self, values: int) -> tuple[Tensor, ...]:
        """Which sums are allowed; for each position, sum and value, the sum before that step, and the sum after it.

        Where there is no such sum, the number of sums stands for it. Shapes ``(sums,)`` and two of ``(arity, sums,
        values)``.
        """
        sums = len(self.allowed)
        # A step that leads beyond all sums: no such value.
        steps = torch.full((self.arity, values), sums, device="cpu")
        for position, row in enumerate(self.steps):
            steps[position, : len(row)] = torch.tensor(row, device="cpu")
        totals = torch.arange(sums, device="cpu")[:, None]
        before, after = (totals - steps[:, None], totals + steps[:, None])
        return torch.tensor(self.allowed, device="cpu"), before.where(before >= 0, sums), after.clamp_max(sums)

    def support(self, elements: Tensor, semiring: Semiring, *tables: Tensor) -> Tensor:
        return from_both_ends(elements, semiring, *tables)

    def holds(self, values: Int[Tensor, "*shape arity"]) -> Bool[Tensor, "*shape"]:
        width = max(map(len, self.steps))
        steps = torch.tensor([[*row, *[0] * (width - len(row))] for row in self.steps], device=values.device)
        total = steps[torch.arange(self.arity, device=values.device), values].sum(-1)
        return torch.tensor(self.allowed, device=values.device)[total]

    def code(self) -> tuple[int, ...]:
        """The number of sums, 0 or 1 for each of them; for each position the number of values, and their steps."""
        rows = (number for row in self.steps for number in (len(row), *row))
        return KIND, len(self.allowed), *map(int, self.allowed), *rows

    def work(self, words: int) -> int:
        return self.arity * (1 + 2 * len(self.allowed))
