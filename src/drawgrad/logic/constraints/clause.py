"""Clauses: one literal at least is true."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from drawgrad._typing import Bool, Int, Tensor
from drawgrad.logic.constraints.base import Constraint, Rule, as_scope
from drawgrad.logic.semirings import Semiring

__all__ = ["Clause"]

KIND = 5


@dataclass(frozen=True, init=False)
class Clause(Constraint):
    r"""One of some variables is 1, or one of some others is 0: a disjunction of literals.

    The value that makes a literal false has support as far as another literal is true, the other value always.

    Args:
        positive: variables of which one may be 1.
        negative: variables of which one may be 0.

    Raises:
        ValueError: if there is no literal, or a variable is there twice.

    Example:
        >>> from drawgrad.logic import Problem
        >>> Problem(2, 2, [Clause(positive=[1], negative=[0])]).solve(limit=9).solutions()
        tensor([[0, 0],
                [0, 1],
                [1, 1]])
    """

    positive: tuple[int, ...]
    negative: tuple[int, ...]

    def __init__(self, positive: Sequence[int] = (), negative: Sequence[int] = ()) -> None:
        scope = as_scope((*positive, *negative), "the clause")
        object.__setattr__(self, "positive", scope[: len(positive)])
        object.__setattr__(self, "negative", scope[len(positive) :])

    @property
    def scope(self) -> tuple[int, ...]:
        return self.positive + self.negative

    def rule(self, sizes: tuple[int, ...]) -> Rule:
        for variable, size in zip(self.scope, sizes, strict=True):
            if size != 2:
                raise ValueError(
                    f"{self._named()} needs variables of two values, but variable {variable} has {size}; give it two, "
                    "or use Table"
                )
        return Literals(len(self.positive), len(self.negative))


@dataclass(frozen=True)
class Literals(Rule):
    """One of the first variables is 1, or one of those after them is 0."""

    positive: int
    negative: int

    @property
    def arity(self) -> int:  # type: ignore[override]
        """Number of variables."""
        return self.positive + self.negative

    def support(self, elements: Tensor, semiring: Semiring, *tables: Tensor) -> Tensor:
        true = torch.cat([elements[..., : self.positive, 1], elements[..., self.positive :, 0]], -1)
        of_false = semiring.sum_of_others(true, -1)
        of_true = semiring.lift(torch.ones_like(true, dtype=torch.bool), elements)
        of_zero = torch.cat([of_false[..., : self.positive], of_true[..., self.positive :]], -1)
        of_one = torch.cat([of_true[..., : self.positive], of_false[..., self.positive :]], -1)
        rest = semiring.lift(torch.ones_like(elements[..., 2:], dtype=torch.bool), elements)
        return torch.cat([torch.stack([of_zero, of_one], -1), rest], -1)

    def holds(self, values: Int[Tensor, "*shape arity"]) -> Bool[Tensor, "*shape"]:
        return (values[..., : self.positive] == 1).any(-1) | (values[..., self.positive :] == 0).any(-1)

    def code(self) -> tuple[int, ...]:
        """The number of positive literals."""
        return KIND, self.positive
