"""Exact sums over all solutions of small problems: what soft propagation is an approximation of."""

from __future__ import annotations

import math

import torch

from drawgrad._typing import Float, Int, Tensor
from drawgrad.logic.domains import SoftDomains
from drawgrad.logic.problem import Problem
from drawgrad.logic.semirings import Log, Semiring

__all__ = ["all_solutions", "log_partition", "marginals"]

MOST_ASSIGNMENTS = 1 << 24
CHUNK = 1 << 18
"""Assignments that are looked at together."""


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
    sizes, steps = torch.tensor(problem.sizes, dtype=torch.int64), torch.tensor(strides, dtype=torch.int64)
    found = []
    for start in range(0, count, CHUNK):
        numbers = torch.arange(start, min(start + CHUNK, count))
        assignments = numbers[:, None] // steps % sizes
        found.append(assignments[problem.satisfied(assignments)])
    return torch.cat(found)


def log_partition(problem: Problem, domains: SoftDomains, semiring: Semiring | None = None) -> Float[Tensor, "*batch"]:
    r"""The logarithm of the total weight of all solutions; differentiable.

    .. math:: \log \bigoplus_{x \text{ solves}} \bigotimes_i d_{i x_i}

    For domains that sum to one and the default semiring it is the logarithm of the probability that independent values
    satisfy every constraint: its negative is the semantic loss.

    Args:
        problem: with few enough assignments for :func:`all_solutions`.
        domains: the weights, of probabilities or of the semiring.
        semiring: :class:`Log` if None, which adds weights up; :class:`MaxPlus` gives the weight of the best solution.

    Returns:
        Shape ``(*batch,)``; -inf if there is no solution.

    Example:
        >>> import torch
        >>> from drawgrad.logic import NotEqual
        >>> problem = Problem(2, 2, [NotEqual(0, 1)])
        >>> log_partition(problem, problem.domains(torch.tensor([[0.9, 0.1], [0.3, 0.7]]))).exp()
        tensor(0.6600)

    References:
        Xu, Zhang, Friedman, Liang, Van den Broeck. A semantic loss function for deep learning with symbolic knowledge.
        ICML 2018.
    """
    algebra, weights, _ = _weights(problem, domains, semiring)
    return algebra.log(algebra.sum(weights, -1))


def marginals(problem: Problem, domains: SoftDomains, semiring: Semiring | None = None) -> SoftDomains:
    """The total weight of the solutions that give a variable a value, for each of them; differentiable.

    Args:
        problem: with few enough assignments for :func:`all_solutions`.
        domains: the weights.
        semiring: :class:`Log` if None; its ``log_probs()`` are the logarithms of the posterior marginals.
            :class:`MaxPlus` gives max-marginals.

    Returns:
        Domains of the semiring.

    Example:
        >>> import torch
        >>> from drawgrad.logic import NotEqual
        >>> problem = Problem(2, 2, [NotEqual(0, 1)])
        >>> marginals(problem, problem.domains(torch.tensor([[0.9, 0.1], [0.3, 0.7]]))).log_probs().exp()
        tensor([[0.9545, 0.0455],
                [0.0455, 0.9545]])
    """
    algebra, weights, solutions = _weights(problem, domains, semiring)
    rows = [
        torch.stack(
            [algebra.sum(weights[..., solutions[:, variable] == value], -1) for value in range(problem.values)], -1
        )
        for variable in range(problem.variables)
    ]
    return SoftDomains(torch.stack(rows, -2), algebra)


def _weights(problem: Problem, domains: SoftDomains, semiring: Semiring | None) -> tuple[Semiring, Tensor, Tensor]:
    """The weights of all solutions, ``(*batch, count)``, and the solutions."""
    domains = domains.within(Log() if semiring is None else semiring)
    algebra, elements = domains.semiring, domains.elements
    solutions = all_solutions(problem).to(elements.device)
    variables = torch.arange(problem.variables, device=elements.device)
    return algebra, algebra.product(elements[..., variables, solutions], -1), solutions
