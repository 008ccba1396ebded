"""Teachers: what the values of a board's blank cells say about how its givens should be read."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any

import torch
from torch.distributions import Categorical
from torch.nn.functional import one_hot

from drawgrad._checks import check_count
from drawgrad._typing import Float, Tensor
from drawgrad.estimators import LeaveOneOut
from drawgrad.kernels.log_probs import log_softmax, softmax
from drawgrad.logic import (
    HardDomains,
    HardEngine,
    Limits,
    PropagationSurrogate,
    Report,
    SoftDomains,
    SolverThrough,
    sudoku,
)
from drawgrad.studies.tasks.sudoku.data import Told

__all__ = ["TEACHERS", "Completions", "Corrected", "Propagation", "Sampled", "SolverInLoop", "Teacher"]

LEAST = -30.0
"""Log-probability below which a blank cell's value is taken for ruled out, and gives no gradient."""


class Teacher(ABC):
    """A loss from what is told of boards."""

    @property
    def evaluations(self) -> int:
        """How often a step asks the hard engine about a board."""
        return 1

    @abstractmethod
    def loss(self, logits: Float[Tensor, "givens 9"], told: Told) -> Float[Tensor, ""]:
        """The loss of logits of the givens of all boards, in order."""


@dataclass(frozen=True)
class Completions(Teacher):
    r"""The negative log-probability that the givens are read as the rules allow beside the blank cells, per given.

    .. math:: -\log \sum_{x \text{ completes the blank cells}} \prod_i p_i(x_i)

    The hard engine lists the completions: exactly, unless there are more than the limit.

    Args:
        limit: How many completions of a board are summed over.

    References:
        Xu, Zhang, Friedman, Liang, Van den Broeck. A semantic loss function for deep learning with symbolic knowledge.
        ICML 2018.
    """

    limit: int = 256

    def __post_init__(self) -> None:
        check_count(self.limit, "limit", minimum=1)

    def loss(self, logits: Tensor, told: Told) -> Tensor:
        board = sudoku()
        found = board.solve(board.fixed(told.blanks), limit=self.limit)
        values = found.values[:, : int(found.counts.max())]
        read = _scattered(log_softmax(logits), told)
        # Blank cells are the same in all of a board's completions, and count nothing.
        weights = read.gather(-1, values.clamp_min(0).transpose(1, 2)).sum(1)
        weights = weights.masked_fill(values[..., 0] < 0, -torch.inf)
        return -weights.logsumexp(-1).sum() / told.given.sum()


@dataclass(frozen=True)
class Propagation(Teacher):
    """The negative log-probability of the blank cells' values after soft propagation from what was read, per blank.

    Args:
        rounds: Of propagation.
    """

    rounds: int = 3

    def __post_init__(self) -> None:
        check_count(self.rounds, "rounds", minimum=1)

    @property
    def evaluations(self) -> int:
        """None: it never asks."""
        return 0

    def loss(self, logits: Tensor, told: Told) -> Tensor:
        domains = sudoku().domains(softmax(logits), where=told.given)
        return -_log_probs(domains, told, self.rounds)[~told.given].mean()


@dataclass(frozen=True)
class _WithEngine(Teacher):
    """A teacher that asks the hard engine for the most likely solution, and learns by soft propagation.

    Args:
        rounds: Of propagation.
        nodes: How many decisions the search may take for a board.
    """

    rounds: int = 3
    nodes: int = 300

    def __post_init__(self) -> None:
        check_count(self.rounds, "rounds", minimum=1)
        check_count(self.nodes, "nodes", minimum=1)


@dataclass(frozen=True)
class SolverInLoop(_WithEngine):
    """The squared distance of the hard engine's answer from the blank cells' values, straight-through.

    Forward the most likely solution under what was read; backward the gradient of soft propagation. What came out right
    gives no gradient.
    """

    def loss(self, logits: Tensor, told: Told) -> Tensor:
        board = sudoku()
        domains = board.domains(softmax(logits), where=told.given)
        layer = SolverThrough(board, PropagationSurrogate(self.rounds), _Hasty(self.nodes))
        wrong = layer(domains).elements - one_hot(told.blanks.clamp_min(0), 9)
        return wrong.square().sum(-1)[~told.given].mean()


@dataclass(frozen=True)
class Corrected(_WithEngine):
    """The negative log-probability under soft propagation of those blank cells alone that the hard engine gets wrong.

    Forward the engine decides what has to be learned; backward goes the gradient of soft propagation. The mean is over
    all blank cells.
    """

    def loss(self, logits: Tensor, told: Told) -> Tensor:
        board = sudoku()
        domains = board.domains(softmax(logits), where=told.given)
        # -1 where no solution is found: all cells of such a board are wrong.
        wrong = board.most_likely(domains, nodes=self.nodes).first() != told.blanks
        return -(_log_probs(domains, told, self.rounds) * wrong)[~told.given].mean()


@dataclass(frozen=True)
class Sampled(Teacher):
    """How often a guess among the values that the hard engine leaves a blank cell would be wrong, by leave-one-out.

    The engine is a black box: readings are drawn, propagated for one round, and each is worth what comes of it.

    Args:
        samples: Readings of each board.
    """

    samples: int = 16

    def __post_init__(self) -> None:
        check_count(self.samples, "samples", minimum=2)

    @property
    def evaluations(self) -> int:
        """One for each sample."""
        return self.samples

    def loss(self, logits: Tensor, told: Told) -> Tensor:
        board = sudoku()

        def misses(readings: Tensor) -> Tensor:
            cells = torch.where(told.given, readings, -1)
            left = board.propagate(board.fixed(cells), rounds=1)
            assert isinstance(left, HardDomains)
            kept = (left.bits >> told.blanks.clamp_min(0)) & 1
            wrong = 1 - kept.to(logits.dtype) / left.count().clamp_min(1)
            return (wrong * ~told.given).sum(-1)

        readings = Categorical(logits=_scattered(logits, told), validate_args=False)
        # Of the boards' own size, as the other teachers' losses are.
        return LeaveOneOut(samples=self.samples)(misses, readings).sum() / told.given.sum()


TEACHERS: dict[str, Teacher] = {
    "all completions": Completions(),
    "soft propagation": Propagation(),
    "solver, straight-through": SolverInLoop(),
    "solver, what it gets wrong": Corrected(),
    "solver, leave-one-out": Sampled(),
}


@dataclass(frozen=True)
class _Hasty:
    """The hard engine, with a limit on the decisions for each problem."""

    nodes: int

    def search(self, program: Any, domains: Any, scores: Any, limits: Limits) -> Report:
        """See :class:`~drawgrad.logic.Solver`."""
        return HardEngine().search(program, domains, scores, Limits(limits.solutions, self.nodes, limits.seconds))


def _log_probs(domains: SoftDomains, told: Told, rounds: int) -> Float[Tensor, "boards 81"]:
    """Log-probabilities of the blank cells' values after soft propagation, and of any value in the other cells."""
    return sudoku().propagate(domains, rounds=rounds).log_prob(told.blanks.clamp_min(0)).clamp_min(LEAST)


def _scattered(rows: Float[Tensor, "givens 9"], told: Told) -> Float[Tensor, "boards 81 9"]:
    """Rows of the givens in their cells, zeros in the blank ones."""
    return rows.new_zeros(*told.given.shape, 9).masked_scatter(told.given[..., None].expand(-1, -1, 9), rows)
