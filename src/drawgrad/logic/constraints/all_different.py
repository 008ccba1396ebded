"""All-different: no two variables have one value."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from drawgrad._checks import check_flag
from drawgrad._typing import Bool, Int, Tensor
from drawgrad.logic.constraints._states import from_both_ends
from drawgrad.logic.constraints.base import Constraint, Rule, as_scope
from drawgrad.logic.semirings import Semiring

__all__ = ["AllDifferent"]

KIND, KIND_MATCHED = 1, 7
MOST_MATCHED = 12
"""Values up to which all sets of them are looked at."""


@dataclass(frozen=True, init=False)
class AllDifferent(Constraint):
    r"""All variables of the scope have different values.

    A variable may have value v as far as each other one may have a value but v:

    .. math:: s_{iv} = \bigotimes_{j \ne i} \bigoplus_{w \ne v} d_{jw}

    With ``hidden``, and as many variables as values, it is also true of the transposed table, of which value has which
    variable: i may have v as far as each other value may be that of another variable ("hidden singles").

    With ``matching`` a value stays only if the others have values that differ from it and from each other: no rule
    takes more. It sees every Hall set, such as two variables that share two values, which no other can have then. In
    the semiring :class:`Log` it is the sum over all matchings: exact for one constraint. It goes through all sets of
    values, :math:`2^k` of them, so it is for up to 12 values, and far slower than the rules above.

    Args:
        variables: the scope.
        hidden: whether to use the second rule too, where there are as many variables as values.
        matching: whether to use the third rule instead.

    Raises:
        ValueError: with ``matching``, for more than 12 values.

    Example:
        >>> from drawgrad.logic import HardDomains, Problem
        >>> import torch
        >>> problem = Problem(3, 3, [AllDifferent([0, 1, 2])])
        >>> problem.propagate(HardDomains(torch.tensor([0b001, 0b011, 0b111]), 3)).bits
        tensor([1, 2, 4])
        >>> strong = Problem(3, 4, [AllDifferent([0, 1, 2], matching=True)])
        >>> strong.propagate(HardDomains(torch.tensor([0b0011, 0b0011, 0b1111]), 4)).bits
        tensor([ 3,  3, 12])
    """

    variables: tuple[int, ...]
    hidden: bool = True
    matching: bool = False

    def __init__(self, variables: Sequence[int], hidden: bool = True, matching: bool = False) -> None:
        check_flag(hidden, "hidden")
        check_flag(matching, "matching")
        object.__setattr__(self, "variables", as_scope(variables))
        object.__setattr__(self, "hidden", hidden)
        object.__setattr__(self, "matching", matching)

    @property
    def scope(self) -> tuple[int, ...]:
        return self.variables

    def rule(self, sizes: tuple[int, ...]) -> Rule:
        if self.matching:
            if max(sizes) > MOST_MATCHED:
                raise ValueError(
                    f"matching of {self._named()} must be for at most {MOST_MATCHED} values, but there are "
                    f"{max(sizes)}; leave it out"
                )
            return Matched(len(sizes), max(sizes))
        return Distinct(len(sizes), len(sizes) if self.hidden and len(sizes) == max(sizes) else 0)


@dataclass(frozen=True)
class Distinct(Rule):
    """All different; and if ``covered`` is not 0, each of that many first values is taken."""

    arity: int
    covered: int

    def support(self, elements: Tensor, semiring: Semiring, *tables: Tensor) -> Tensor:
        # Variables and values come first: what is combined then lies in long rows.
        table = elements.movedim((-2, -1), (0, 1)).contiguous()
        found = semiring.product_of_others(semiring.sum_of_others(table, 1), 0)
        if self.covered:
            hidden = semiring.product_of_others(semiring.sum_of_others(table[:, : self.covered], 0), 1)
            if self.covered < table.shape[1]:
                rest = semiring.lift(torch.ones_like(table[:, self.covered :], dtype=torch.bool), elements)
                hidden = torch.cat([hidden, rest], 1)
            found = semiring.times(found, hidden)
        return found.movedim((0, 1), (-2, -1))

    def holds(self, values: Int[Tensor, "*shape arity"]) -> Bool[Tensor, "*shape"]:
        return _differ(values)

    def code(self) -> tuple[int, ...]:
        return KIND, self.covered

    def work(self, words: int) -> int:
        return 2 * words + self.arity


@dataclass(frozen=True)
class Matched(Rule):
    """All different, by way of the sets of values that are taken so far; values count up to ``values``."""

    arity: int
    values: int

    def tables(self, values: int) -> tuple[Tensor, ...]:
        """Every set is an end; sets before and after a value is taken, for each variable the same."""
        sets = torch.arange(1 << self.values, device="cpu")[:, None]
        numbers = torch.arange(values, device="cpu")
        bits = 1 << numbers.clamp_max(self.values - 1)
        taken, known = (sets & bits) > 0, numbers < self.values
        before = (sets - bits).where(taken & known, len(sets))
        after = (sets + bits).where(~taken & known, len(sets))
        shape = (self.arity, -1, -1)
        return torch.ones(len(sets), dtype=torch.bool, device="cpu"), before.expand(shape), after.expand(shape)

    def support(self, elements: Tensor, semiring: Semiring, *tables: Tensor) -> Tensor:
        return from_both_ends(elements, semiring, *tables)

    def holds(self, values: Int[Tensor, "*shape arity"]) -> Bool[Tensor, "*shape"]:
        return _differ(values)

    def code(self) -> tuple[int, ...]:
        return KIND_MATCHED, self.values

    def work(self, words: int) -> int:
        return 2 * self.arity << self.values


def _differ(values: Tensor) -> Tensor:
    ordered = values.sort(-1).values
    return (ordered[..., 1:] != ordered[..., :-1]).all(-1)
