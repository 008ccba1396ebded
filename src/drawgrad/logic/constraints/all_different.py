"""All-different: no two variables have one value."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from drawgrad._checks import check_flag
from drawgrad._typing import Bool, Int, Tensor
from drawgrad.logic.constraints.base import Constraint, Rule, as_scope
from drawgrad.logic.semirings import Semiring

__all__ = ["AllDifferent"]

KIND = 1


@dataclass(frozen=True, init=False)
class AllDifferent(Constraint):
    r"""All variables of the scope have different values.

    A variable may have value v as far as each other one may have a value but v:

    .. math:: s_{iv} = \bigotimes_{j \ne i} \bigoplus_{w \ne v} d_{jw}

    With ``hidden``, and as many variables as values, it is also true of the transposed table, of which value has which
    variable: i may have v as far as each other value may be that of another variable ("hidden singles").

    Args:
        variables: the scope.
        hidden: whether to use the second rule too, where there are as many variables as values.

    Example:
        >>> from drawgrad.logic import HardDomains, Problem
        >>> import torch
        >>> problem = Problem(3, 3, [AllDifferent([0, 1, 2])])
        >>> problem.propagate(HardDomains(torch.tensor([0b001, 0b011, 0b111]), 3)).bits
        tensor([1, 2, 4])
    """

    variables: tuple[int, ...]
    hidden: bool = True

    def __init__(self, variables: Sequence[int], hidden: bool = True) -> None:
        check_flag(hidden, "hidden")
        object.__setattr__(self, "variables", as_scope(variables))
        object.__setattr__(self, "hidden", hidden)

    @property
    def scope(self) -> tuple[int, ...]:
        return self.variables

    def rule(self, sizes: tuple[int, ...]) -> Rule:
        return Distinct(len(sizes), len(sizes) if self.hidden and len(sizes) == max(sizes) else 0)


@dataclass(frozen=True)
class Distinct(Rule):
    """All different; and if ``covered`` is not 0, each of that many first values is taken."""

    arity: int
    covered: int

    def support(self, elements: Tensor, semiring: Semiring, *tables: Tensor) -> Tensor:
        other_values = semiring.sum_of_others(elements, -1)
        found = semiring.product_of_others(other_values, -2)
        if self.covered:
            taken = semiring.sum_of_others(elements[..., : self.covered], -2)
            hidden = semiring.product_of_others(taken, -1)
            rest = semiring.lift(torch.ones_like(elements[..., self.covered :], dtype=torch.bool), elements)
            found = semiring.times(found, torch.cat([hidden, rest], -1))
        return found

    def holds(self, values: Int[Tensor, "*shape arity"]) -> Bool[Tensor, "*shape"]:
        ordered = values.sort(-1).values
        return (ordered[..., 1:] != ordered[..., :-1]).all(-1)

    def code(self) -> tuple[int, ...]:
        return KIND, self.covered

    def work(self, words: int) -> int:
        return 2 * words + self.arity
