"""Exact sums over all solutions of small or narrow problems: what soft propagation is an approximation of."""

from __future__ import annotations

import math

import torch

from drawgrad._typing import Float, Int, Tensor
from drawgrad.logic._elimination import eliminate, elimination_order
from drawgrad.logic.domains import SoftDomains
from drawgrad.logic.problem import Problem
from drawgrad.logic.semirings import Log, Semiring

__all__ = ["all_solutions", "log_partition", "marginals"]

MOST_ASSIGNMENTS = 1 << 24
CHUNK = 1 << 18
"""Assignments that are looked at together."""
MOST_ENTRIES = 1 << 20
"""Entries of a table that elimination may make, for each problem of a batch."""


def all_solutions(problem: Problem) -> Int[Tensor, "count variables"]:
    """All solutions of a small problem in ascending order, found by looking at every assignment.

    It shares nothing with the engine but the definition of each constraint: an oracle for both propagators.

    Args:
        problem: with up to 2^24 assignments.

    Raises:
        ValueError: if there are more.

    Example:
        >>> from drawgrad.logic import NotEqual
        >>> all_solutions(Problem(2, 2, [NotEqual(0, 1)]))
        tensor([[0, 1],
                [1, 0]])
    """
    count = math.prod(problem.sizes)
    if count > MOST_ASSIGNMENTS:
        raise ValueError(
            f"problem must have at most {MOST_ASSIGNMENTS} assignments to be enumerated, but it has {count:.3g}; use "
            "problem.solve(limit=...) for its solutions"
        )
    # The last variable counts fastest.
    strides = [math.prod(problem.sizes[place + 1 :]) for place in range(problem.variables)]
    sizes, steps = (torch.tensor(each, dtype=torch.int64, device="cpu") for each in (problem.sizes, strides))
    found = []
    for start in range(0, count, CHUNK):
        numbers = torch.arange(start, min(start + CHUNK, count), device="cpu")
        assignments = numbers[:, None] // steps % sizes
        found.append(assignments[problem.satisfied(assignments)])
    return torch.cat(found)


def log_partition(problem: Problem, domains: SoftDomains, semiring: Semiring | None = None) -> Float[Tensor, "*batch"]:
    r"""The logarithm of the total weight of all solutions; differentiable.

    .. math:: \log \bigoplus_{x \text{ solves}} \bigotimes_i d_{i x_i}

    For domains that sum to one and the default semiring it is the logarithm of the probability that independent values
    satisfy every constraint: its negative is the semantic loss.

    Variables are summed out one after the other, in an order that keeps the tables small: time and memory grow with the
    width of the problem's graph, not with its size, so chains and trees of hundreds of variables are fine. Where a
    table would be too large, or the semiring is not distributive, so that the order would matter, all solutions are
    enumerated.

    Args:
        problem: one that is narrow, or small.
        domains: the weights, of probabilities or of the semiring.
        semiring: :class:`Log` if None, which adds weights up; :class:`MaxPlus` gives the weight of the best solution.

    Returns:
        Shape ``(*batch,)``; -inf if there is no solution.

    Raises:
        ValueError: if the problem is too wide for tables, and has too many assignments to enumerate them.

    Example:
        >>> import torch
        >>> from drawgrad.logic import NotEqual
        >>> problem = Problem(2, 2, [NotEqual(0, 1)])
        >>> log_partition(problem, problem.domains(torch.tensor([[0.9, 0.1], [0.3, 0.7]]))).exp()
        tensor(0.6600)

    References:
        Xu, Zhang, Friedman, Liang, Van den Broeck. A semantic loss function for deep learning with symbolic knowledge.
        ICML 2018.
        Dechter. Bucket elimination: a unifying framework for reasoning. Artificial Intelligence 113, 1999.
    """
    domains = domains.within(Log() if semiring is None else semiring)
    order = _order(problem, domains)
    if order is not None:
        return domains.semiring.log(eliminate(problem, domains, order, keep=None))
    weights, _ = _weights(problem, domains)
    return domains.semiring.log(domains.semiring.sum(weights, -1))


def marginals(problem: Problem, domains: SoftDomains, semiring: Semiring | None = None) -> SoftDomains:
    """The total weight of the solutions that give a variable a value, for each of them; differentiable.

    Args:
        problem: one that is narrow, or small.
        domains: the weights.
        semiring: :class:`Log` if None; its ``log_probs()`` are the logarithms of the posterior marginals.
            :class:`MaxPlus` gives max-marginals.

    Returns:
        Domains of the semiring.

    Raises:
        ValueError: if the problem is too wide for tables, and has too many assignments to enumerate them.

    Example:
        >>> import torch
        >>> from drawgrad.logic import NotEqual
        >>> problem = Problem(2, 2, [NotEqual(0, 1)])
        >>> marginals(problem, problem.domains(torch.tensor([[0.9, 0.1], [0.3, 0.7]]))).log_probs().exp()
        tensor([[0.9545, 0.0455],
                [0.0455, 0.9545]])
    """
    domains = domains.within(Log() if semiring is None else semiring)
    algebra, order = domains.semiring, _order(problem, domains)
    if order is not None:
        rows = [eliminate(problem, domains, order, keep=variable) for variable in range(problem.variables)]
    else:
        weights, solutions = _weights(problem, domains)
        having = [[solutions[:, variable] == value for value in range(problem.values)]
                  for variable in range(problem.variables)]  # fmt: skip
        rows = [torch.stack([algebra.sum(weights[..., chosen], -1) for chosen in row], -1) for row in having]
    return SoftDomains(torch.stack(rows, -2) if rows else domains.elements, algebra)


def _order(problem: Problem, domains: SoftDomains) -> list[int] | None:
    """In which order to eliminate; None if all solutions are to be enumerated instead.

    Raises:
        ValueError: if neither can be done.
    """
    problem.check(domains)
    order, entries = elimination_order(problem)
    if domains.semiring.distributive and entries <= MOST_ENTRIES:
        return order
    count = math.prod(problem.sizes)
    if count > MOST_ASSIGNMENTS:
        what = (
            f"a table of {entries:.3g} entries, more than {MOST_ENTRIES}"
            if domains.semiring.distributive
            else f"an enumeration, because {type(domains.semiring).__name__} is not distributive"
        )
        raise ValueError(
            f"problem must be narrow or small for exact sums, but it needs {what}, and has {count:.3g} assignments, "
            f"more than {MOST_ASSIGNMENTS}; use problem.propagate, or fewer constraints that cross"
        )
    return None


def _weights(problem: Problem, domains: SoftDomains) -> tuple[Tensor, Tensor]:
    """The weights of all solutions, ``(*batch, count)``, and the solutions."""
    solutions = all_solutions(problem).to(domains.elements.device)
    variables = torch.arange(problem.variables, device=solutions.device)
    return domains.semiring.product(domains.elements[..., variables, solutions], -1), solutions
