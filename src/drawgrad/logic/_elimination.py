"""Sums over all assignments, one variable after the other: bucket elimination in any distributive semiring."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch

from drawgrad._typing import Tensor
from drawgrad.logic.domains import SoftDomains
from drawgrad.logic.problem import Problem

__all__ = ["eliminate", "elimination_order"]

Factor = tuple[tuple[int, ...], Tensor]
"""Variables, and a table of elements over their values, ``(*batch, *sizes)``."""


def elimination_order(problem: Problem) -> tuple[list[int], int]:
    """In which order to sum variables out, and how many entries the largest table on the way has.

    The variable whose table is smallest comes next; summing it out makes neighbors of all that were its own.
    """
    near: list[set[int]] = [set() for _ in range(problem.variables)]
    largest = 1
    for constraint in problem.constraints:
        largest = max(largest, _entries(problem, constraint.scope))
        for variable in constraint.scope:
            near[variable] |= set(constraint.scope)
    order: list[int] = []
    left = set(range(problem.variables))
    entries = {variable: _entries(problem, near[variable] | {variable}) for variable in left}
    while left:
        variable = min(left, key=lambda one: (entries[one], one))
        largest = max(largest, entries[variable])
        others = near[variable] - {variable}
        for other in others:
            near[other] = (near[other] | others) - {variable}
            entries[other] = _entries(problem, near[other] | {other})
        left.remove(variable)
        order.append(variable)
    return order, largest


def eliminate(problem: Problem, domains: SoftDomains, order: Sequence[int], keep: int | None) -> Tensor:
    """Sum out every variable but one.

    A factor is a table of elements over some variables: each domain is one, and so is each constraint, with one for
    what it allows and zero for what not. To sum a variable out, the factors that know it are multiplied, and the
    product is summed over its values.

    Args:
        problem: the problem.
        domains: elements of a distributive semiring, ``(*batch, variables, values)``.
        order: of the variables.
        keep: the variable that stays, None for none.

    Returns:
        Elements ``(*batch,)``, or ``(*batch, values)`` of the variable that stays.
    """
    algebra, elements = domains.semiring, domains.elements
    factors: list[Factor] = [((number,), elements[..., number, :size]) for number, size in enumerate(problem.sizes)]
    for constraint, rule in zip(problem.constraints, problem.rules, strict=True):
        sizes = [problem.sizes[variable] for variable in constraint.scope]
        assignments = torch.cartesian_prod(*(torch.arange(size, device="cpu") for size in sizes)).reshape(
            -1, len(sizes)
        )
        allowed = rule.holds(assignments).reshape(sizes).to(elements.device)
        factors.append((constraint.scope, algebra.lift(allowed, elements)))
    for variable in order:
        if variable == keep:
            continue
        known = [factor for factor in factors if variable in factor[0]]
        others = sorted({other for scope, _ in known for other in scope} - {variable})
        factors = [factor for factor in factors if variable not in factor[0]]
        factors.append((tuple(others), algebra.sum(_product(problem, domains, known, (*others, variable)), -1)))
    found = _product(problem, domains, factors, () if keep is None else (keep,))
    if keep is None:
        return found
    beyond = algebra.lift(torch.zeros_like(elements[..., keep, found.shape[-1] :], dtype=torch.bool), elements)
    return torch.cat([found, beyond], -1)


def _entries(problem: Problem, scope: Sequence[int] | set[int]) -> int:
    return math.prod(problem.sizes[variable] for variable in scope)


def _product(problem: Problem, domains: SoftDomains, factors: Sequence[Factor], scope: Sequence[int]) -> Tensor:
    """The product of factors as one table over a scope."""
    algebra, elements = domains.semiring, domains.elements
    shape = (*elements.shape[:-2], *(problem.sizes[one] for one in scope))
    found = algebra.lift(torch.ones(shape, dtype=torch.bool, device=elements.device), elements)
    for own, table in factors:
        batch = table.dim() - len(own)
        # Its dimensions in the order of the scope, and one of length 1 for each variable that it does not know.
        order = sorted(range(len(own)), key=lambda place: scope.index(own[place]))
        table = table.permute([*range(batch), *(batch + place for place in order)])
        sizes = [problem.sizes[one] if one in own else 1 for one in scope]
        found = algebra.times(found, table.reshape([*table.shape[:batch], *sizes]))
    return found
