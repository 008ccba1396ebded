"""Solvers: what searches for solutions, behind a protocol of plain arrays."""

from __future__ import annotations

import math
from abc import abstractmethod
from dataclasses import dataclass
from enum import IntEnum
from typing import Any, NamedTuple, Protocol, runtime_checkable

import torch

from drawgrad._checks import check_count, check_nonnegative
from drawgrad._typing import Bool, Float, Int, Tensor

__all__ = ["HardEngine", "Limits", "Report", "Solutions", "Solver", "Status"]


class Status(IntEnum):
    """How the search for the solutions of a problem ended."""

    COMPLETE = 0
    """Everything was searched: there are no other solutions, and no better one."""
    LIMIT = 1
    """There were enough solutions; there may be more."""
    NODES = 2
    """The search took as many decisions as it was allowed."""
    TIME = 3
    """The search took as long as it was allowed."""


@dataclass(frozen=True)
class Limits:
    """How far a search may go.

    Args:
        solutions: how many solutions of each problem are enough.
        nodes: how many decisions it may take for each problem; None for any number.
        seconds: how long it may take for all of them; None for any time.

    Raises:
        ValueError: if one is negative, or no solution is enough.
        TypeError: if one is no number.
    """

    solutions: int = 1
    nodes: int | None = None
    seconds: float | None = None

    def __post_init__(self) -> None:
        check_count(self.solutions, "limit", minimum=1)
        if self.nodes is not None:
            check_count(self.nodes, "nodes")
        if self.seconds is not None:
            check_nonnegative(self.seconds, "seconds")


class Report(NamedTuple):
    """What a solver answers, as NumPy arrays of int64, C-contiguous.

    Attributes:
        solutions: values, ``(problems, solutions, variables)``; -1 throughout from the number found on.
        counts: how many were found, ``(problems,)``.
        status: a :class:`Status` each, ``(problems,)``.
        nodes: how many decisions were taken, ``(problems,)``.
    """

    solutions: Any
    counts: Any
    status: Any
    nodes: Any


@runtime_checkable
class Solver(Protocol):
    """Anything that solves encoded problems: this process, another one, or a machine of its own."""

    @abstractmethod
    def search(self, program: Any, domains: Any, scores: Any, limits: Limits) -> Report:
        """Search for solutions of a batch of problems that have one program and different domains.

        All arrays are NumPy's, C-contiguous, in the machine's byte order.

        Args:
            program: int64, one-dimensional: the problem, as :func:`encode` describes it.
            domains: int64, ``(problems, variables, words)``: value v of a variable is possible if bit v % 64 of word
                v // 64 is set. Bits of values that there are not are zero.
            scores: None, or float64, ``(problems, variables, values)``: then the one solution with the largest sum of
                scores is wanted, whatever ``limits.solutions`` says; of several, any one. Where a bit of a domain is
                set its score is finite.
            limits: how far to go. Without scores any so many solutions will do, in any order, each once.
        """


@dataclass(frozen=True)
class HardEngine:
    """Propagation of bitmasks and depth-first search, compiled, on all threads that torch has.

    It decides on the variable with the fewest values, and tries its values in ascending order, or the best score
    first. The result depends on the input alone, except after a limit of seconds.

    Example:
        >>> from drawgrad.logic import NotEqual, Problem
        >>> Problem(2, 2, [NotEqual(0, 1)]).solve(limit=5, solver=HardEngine()).solutions()
        tensor([[0, 1],
                [1, 0]])
    """

    def search(self, program: Any, domains: Any, scores: Any, limits: Limits) -> Report:
        """See :meth:`Solver.search`."""
        from drawgrad.logic.engine.batch import solve

        nodes = -1 if limits.nodes is None else limits.nodes
        seconds = math.inf if limits.seconds is None else limits.seconds
        found, report = solve(program, domains, scores, 1 if scores is not None else limits.solutions, nodes, seconds)
        return Report(found, *(report[:, column].copy() for column in range(3)))


@dataclass(frozen=True)
class Solutions:
    """Solutions of a batch of problems.

    Attributes:
        values: int64, ``(*batch, limit, variables)``; -1 from the number found on.
        counts: how many were found, ``(*batch,)``.
        status: why there are no more, a :class:`Status` each, ``(*batch,)``.
        nodes: how many decisions the search took, ``(*batch,)``.
        scores: of the most likely solution its log-score, ``(*batch,)``, -inf if none was found; None otherwise.
    """

    values: Int[Tensor, "..."]
    counts: Int[Tensor, "..."]
    status: Int[Tensor, "..."]
    nodes: Int[Tensor, "..."]
    scores: Float[Tensor, "..."] | None = None

    def solutions(self) -> Int[Tensor, "count variables"]:
        """All solutions that were found, of one problem after the other."""
        limit, variables = self.values.shape[-2:]
        found = torch.arange(limit, device=self.values.device) < self.counts[..., None]
        return self.values[found].reshape(int(self.counts.sum()), variables)

    def first(self) -> Int[Tensor, "..."]:
        """The first solution of each problem, ``(*batch, variables)``; -1 where there is none."""
        return self.values[..., 0, :]

    def solved(self) -> Bool[Tensor, "..."]:
        """Whether a solution was found, ``(*batch,)``."""
        return self.counts > 0

    def contradiction(self) -> Bool[Tensor, "..."]:
        """Whether there is none for certain, ``(*batch,)``."""
        return (self.counts == 0) & (self.status == Status.COMPLETE)


def run(solver: Solver | None, program: Any, words: Tensor, scores: Tensor | None, limits: Limits) -> Solutions:
    """Ask a solver, with domains as words ``(*batch, variables, words)``."""
    solver = HardEngine() if solver is None else solver
    if not isinstance(solver, Solver):
        raise TypeError(f"solver must have a method search, such as HardEngine(), but it is {solver!r}; make one")
    batch, device = words.shape[:-2], words.device
    count = math.prod(batch)
    flat = None if scores is None else scores.reshape(count, *scores.shape[-2:]).contiguous().cpu().numpy()
    found = solver.search(program, words.reshape(count, *words.shape[-2:]).contiguous().cpu().numpy(), flat, limits)
    values, *rest = (torch.from_numpy(array).to(device) for array in found)
    values = values.reshape(*batch, *values.shape[1:])
    counts, status, nodes = (part.reshape(batch) for part in rest)
    if scores is None:
        return Solutions(values, counts, status, nodes)
    best = scores.gather(-1, values[..., 0, :].clamp_min(0)[..., None]).squeeze(-1).sum(-1)
    return Solutions(values, counts, status, nodes, torch.where(counts > 0, best, -torch.inf))
