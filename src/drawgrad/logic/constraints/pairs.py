"""Relations between two variables: equal, different, less."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

import torch

from drawgrad._typing import Bool, Int, Tensor
from drawgrad.logic._bits import pack_bits
from drawgrad.logic.constraints.base import Constraint, Rule, as_scope
from drawgrad.logic.semirings import Semiring

__all__ = ["Equal", "Less", "NotEqual"]

KIND = 2


@dataclass(frozen=True)
class _Pair(Constraint):
    first: int
    second: int
    relation: ClassVar[Callable[[Tensor, Tensor], Tensor]]

    def __post_init__(self) -> None:
        as_scope((self.first, self.second), "the two variables")

    @property
    def scope(self) -> tuple[int, ...]:
        return self.first, self.second

    def rule(self, sizes: tuple[int, ...]) -> Rule:
        numbers = torch.arange(max(sizes), device="cpu")
        allowed = type(self).relation(numbers[:, None], numbers)
        return Pairs(tuple(tuple(row) for row in allowed.tolist()))


@dataclass(frozen=True)
class Equal(_Pair):
    """Two variables have the same value.

    Args:
        first: a variable.
        second: another one.

    Example:
        >>> from drawgrad.logic import Problem
        >>> len(Problem(2, 3, [Equal(0, 1)]).solve(limit=10).solutions())
        3
    """

    relation: ClassVar[Callable[[Tensor, Tensor], Tensor]] = torch.eq


@dataclass(frozen=True)
class NotEqual(_Pair):
    """Two variables have different values.

    Args:
        first: a variable.
        second: another one.

    Example:
        >>> from drawgrad.logic import Problem
        >>> len(Problem(2, 3, [NotEqual(0, 1)]).solve(limit=10).solutions())
        6
    """

    relation: ClassVar[Callable[[Tensor, Tensor], Tensor]] = torch.ne


@dataclass(frozen=True)
class Less(_Pair):
    """The first variable has a smaller value than the second.

    Args:
        first: a variable.
        second: another one.

    Example:
        >>> from drawgrad.logic import Problem
        >>> Problem(3, 3, [Less(0, 1), Less(1, 2)]).solve().solutions()
        tensor([[0, 1, 2]])
    """

    relation: ClassVar[Callable[[Tensor, Tensor], Tensor]] = torch.lt


@dataclass(frozen=True)
class Pairs(Rule):
    """Two variables with the values v and w where ``allowed[v][w]``."""

    allowed: tuple[tuple[bool, ...], ...]
    arity: int = 2

    def tables(self, values: int) -> tuple[Tensor, ...]:
        """The relation, of that many values; one beyond its own has no partner."""
        table = torch.zeros(values, values, dtype=torch.bool, device="cpu")
        size = len(self.allowed)
        table[:size, :size] = torch.tensor(self.allowed, device="cpu")
        return (table,)

    def support(self, elements: Tensor, semiring: Semiring, *tables: Tensor) -> Tensor:
        allowed = semiring.lift(tables[0], elements)
        first, second = elements.unbind(-2)
        of_first = semiring.sum(semiring.times(second[..., None, :], allowed), -1)
        of_second = semiring.sum(semiring.times(first[..., :, None], allowed), -2)
        return torch.stack([of_first, of_second], -2)

    def holds(self, values: Int[Tensor, "*shape arity"]) -> Bool[Tensor, "*shape"]:
        first, second = values.unbind(-1)
        return torch.tensor(self.allowed, device=values.device)[first, second]

    def code(self) -> tuple[int, ...]:
        """For both directions: number of values, number of words, and for each value the words of its partners."""
        table = torch.tensor(self.allowed, device="cpu")
        found = [pack_bits(side) for side in (table, table.T)]
        return KIND, len(table), found[0].shape[-1], *(word for side in found for word in side.flatten().tolist())
