"""What a constraint is: variables, and a rule among them that constraints of one kind and shape share."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass

import torch

from drawgrad._checks import check_count
from drawgrad._typing import Bool, Int, Tensor
from drawgrad.logic.semirings import Semiring

__all__ = ["Constraint", "Rule", "as_scope"]


class Rule(ABC):
    """A relation among the variables of a scope, without saying which ones.

    Rules are frozen dataclasses that compare by value: all constraints of a problem with equal rules are one tensor
    operation. A rule has two propagators, which are twins: :meth:`support` in a semiring, and the one of the hard
    engine, which reads :meth:`code`. On zeros and ones they give the same.
    """

    arity: int

    def tables(self, values: int) -> tuple[Tensor, ...]:
        """Constant tensors that :meth:`support` needs for domains of that many values; a problem makes them once."""
        return ()

    @abstractmethod
    def support(self, elements: Tensor, semiring: Semiring, *tables: Tensor) -> Tensor:
        """How far the other variables of a scope support each value of each of its variables.

        Every rule is a formula of OR and AND without NOT, so it can be evaluated in any semiring.

        Args:
            elements: soft domains of scopes, shape ``(*batch, arity, values)``.
            semiring: what they are elements of.
            tables: those of :meth:`tables`, on the device of the elements.

        Returns:
            Of the same shape. What stands where the domain itself is zero has no meaning.
        """

    @abstractmethod
    def holds(self, values: Int[Tensor, "*shape arity"]) -> Bool[Tensor, "*shape"]:
        """Whether values satisfy the rule: its definition, which the propagators are tested against."""

    @abstractmethod
    def code(self) -> tuple[int, ...]:
        """The number of the kind and its data, as the hard engine reads them; :func:`encode` describes the kinds."""

    def work(self, words: int) -> int:
        """How many numbers of working memory the hard propagator needs for domains of that many words."""
        return 0


@dataclass(frozen=True)
class Constraint(ABC):
    """A relation among some variables of a problem.

    A subclass of your own returns a rule of the kinds that are there, such as that of a :class:`Table`.
    """

    @property
    @abstractmethod
    def scope(self) -> tuple[int, ...]:
        """Numbers of the variables that it speaks of, each once."""

    @abstractmethod
    def rule(self, sizes: tuple[int, ...]) -> Rule:
        """The rule among the variables of the scope, which have that many values.

        Raises:
            ValueError: if no rule among them makes sense.
        """

    def _named(self) -> str:
        return f"{type(self).__name__} of variables {self.scope}"


def as_scope(variables: Sequence[int], name: str = "scope") -> tuple[int, ...]:
    """Numbers of variables as a tuple of ints, each of them once and none below zero.

    Raises:
        ValueError: if there are none, one is negative, or one is there twice.
        TypeError: if one is no integer.
    """
    if isinstance(variables, torch.Tensor):
        variables = variables.tolist()
    scope = tuple(variables)
    if not scope:
        raise ValueError(f"{name} must name a variable at least, but it is empty; leave the constraint out")
    for position, variable in enumerate(scope):
        check_count(variable, f"{name}[{position}]")
    scope = tuple(int(variable) for variable in scope)
    if len(set(scope)) < len(scope):
        twice = next(variable for variable in scope if scope.count(variable) > 1)
        raise ValueError(f"{name} must name each variable once, but {twice} is there twice: {scope}; name it once")
    return scope
