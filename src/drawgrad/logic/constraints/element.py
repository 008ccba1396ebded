"""Element: a variable has the value of the variable that another one points to."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from drawgrad._typing import Bool, Int, Tensor
from drawgrad.logic.constraints.base import Constraint, Rule, as_scope
from drawgrad.logic.semirings import Semiring

__all__ = ["Element"]

KIND = 6


@dataclass(frozen=True, init=False)
class Element(Constraint):
    r"""``result`` has the value of ``variables[index]``; an index beyond them is not allowed.

    For an array of constants use :class:`Function`: ``Function(lambda i: constants[i], [index], result)``.

    Args:
        index: the variable that points.
        variables: what it points to.
        result: the variable that has the value of the one pointed to.

    Example:
        >>> from drawgrad.logic import Problem
        >>> Problem(4, [2, 3, 3, 3], [Element(0, [1, 2], 3)]).solve(limit=99).counts
        tensor(18)
    """

    index: int
    variables: tuple[int, ...]
    result: int

    def __init__(self, index: int, variables: Sequence[int], result: int) -> None:
        scope = as_scope((index, result, *variables), "index, result and variables")
        as_scope(variables, "variables")
        object.__setattr__(self, "index", scope[0])
        object.__setattr__(self, "result", scope[1])
        object.__setattr__(self, "variables", scope[2:])

    @property
    def scope(self) -> tuple[int, ...]:
        return self.index, self.result, *self.variables

    def rule(self, sizes: tuple[int, ...]) -> Rule:
        return Lookup(len(sizes))


@dataclass(frozen=True)
class Lookup(Rule):
    """The second variable has the value of the one that the first one counts among those after the second."""

    arity: int

    def support(self, elements: Tensor, semiring: Semiring, *tables: Tensor) -> Tensor:
        count, values = self.arity - 2, elements.shape[-1]
        index, result, array = elements[..., 0, :], elements[..., 1, :], elements[..., 2:, :]
        places = min(count, values)
        chosen = semiring.lift(torch.zeros_like(array[..., 0], dtype=torch.bool), elements)
        chosen = torch.cat([index[..., :places], chosen[..., :1].expand(*chosen.shape[:-1], count - places)], -1)
        match = semiring.sum(semiring.times(array, result[..., None, :]), -1)
        beyond = semiring.lift(torch.zeros_like(index[..., places:], dtype=torch.bool), elements)
        of_index = torch.cat([match[..., :places], beyond], -1)
        of_result = semiring.sum(semiring.times(chosen[..., None], array), -2)
        elsewhere = semiring.sum_of_others(semiring.times(chosen, match), -1)
        of_array = semiring.plus(semiring.times(chosen[..., None], result[..., None, :]), elsewhere[..., None])
        return torch.cat([of_index[..., None, :], of_result[..., None, :], of_array], -2)

    def holds(self, values: Int[Tensor, "*shape arity"]) -> Bool[Tensor, "*shape"]:
        index, result, array = values[..., 0], values[..., 1], values[..., 2:]
        count = array.shape[-1]
        return (index < count) & (array.gather(-1, index.clamp_max(count - 1)[..., None]).squeeze(-1) == result)

    def code(self) -> tuple[int, ...]:
        return (KIND,)

    def work(self, words: int) -> int:
        return self.arity
