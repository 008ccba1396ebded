"""CP-SAT of OR-tools behind the solver protocol: slower to start, for problems that outgrow the hard engine."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from drawgrad._checks import check_count
from drawgrad.logic.encoding import decode
from drawgrad.logic.solvers import Limits, Report, Status

__all__ = ["CpSat"]

LARGEST_COST = 2.0**50
"""Sum of all integer costs at most: CP-SAT adds them up in 64 bits, and keeps a margin of its own."""


@dataclass(frozen=True)
class CpSat:
    """The CP-SAT solver of OR-tools: learns from conflicts, for problems that are too hard for :class:`HardEngine`.

    It takes every constraint, and gives the same answers. Costs are integers there: scores are rounded to 2^-50 of the
    sum of their ranges, so of solutions that are closer than that any one is the most likely. A node is a conflict.

    Args:
        workers: threads of one search. With more than one, which solutions come first depends on their race.
        seed: of its own random choices.

    Raises:
        ValueError: if a number is out of range.

    Example:
        >>> from drawgrad.logic import NotEqual, Problem
        >>> Problem(2, 2, [NotEqual(0, 1)]).solve(limit=5, solver=CpSat()).counts
        tensor(2)

    References:
        Perron, Didier, Gay. The CP-SAT-LP solver. CP 2023.
    """

    workers: int = 1
    seed: int = 0

    def __post_init__(self) -> None:
        check_count(self.workers, "workers", minimum=1)
        check_count(self.seed, "seed")

    def search(self, program: Any, domains: Any, scores: Any, limits: Limits) -> Report:
        """See :meth:`Solver.search`.

        Raises:
            ImportError: if OR-tools is not installed.
        """
        import numpy as np

        cp_model = _cp_model()
        model, variables = _model(cp_model, program)
        wanted = 1 if scores is not None else limits.solutions
        deadline = math.inf if limits.seconds is None else time.monotonic() + limits.seconds
        found = np.full((len(domains), wanted, domains.shape[1]), -1, np.int64)
        counts, status, nodes = (np.zeros(len(domains), np.int64) for _ in range(3))
        for number, words in enumerate(domains):
            left = deadline - time.monotonic()
            if left <= 0:
                status[number:] = Status.TIME
                break
            possible = [_values(row) for row in words.tolist()]
            if not all(possible):
                continue
            one = model.clone()
            for at, values in enumerate(possible):
                # In place, because a domain cannot be added to a model that has one.
                bounds = cp_model.Domain.from_values(values).flattened_intervals()
                one.proto.variables[variables[at].index].domain[:] = bounds
            if scores is not None:
                _minimize(one, variables, possible, scores[number].tolist())
            rows, status[number], nodes[number] = self._solve(cp_model, one, variables, scores, wanted, limits, left)
            counts[number] = len(rows)
            for place, row in enumerate(rows):
                found[number, place] = row
        return Report(found, counts, status, nodes)

    def _solve(
        self, cp_model: Any, model: Any, variables: list[Any], scores: Any, wanted: int, limits: Limits, left: float
    ) -> tuple[list[list[int]], Status, int]:
        solver = cp_model.CpSolver()
        settings = solver.parameters
        settings.num_workers, settings.random_seed = self.workers, self.seed
        if math.isfinite(left):
            settings.max_time_in_seconds = left
        if limits.nodes is not None:
            settings.max_number_of_conflicts = limits.nodes
        rows: list[list[int]] = []
        begin = time.monotonic()
        if wanted == 1:
            status = solver.solve(model)
            if status in (cp_model.OPTIMAL, cp_model.FEASIBLE):
                rows.append([solver.value(variable) for variable in variables])
        else:
            # Only one worker can enumerate.
            settings.enumerate_all_solutions, settings.num_workers = True, 1
            status = solver.solve(model, _collector(cp_model, variables, rows, wanted))
        if status == cp_model.MODEL_INVALID:
            raise RuntimeError(f"CP-SAT refuses the model: {model.validate()}; use HardEngine() for this problem")
        if scores is None and len(rows) == wanted:
            end = Status.LIMIT
        elif status in (cp_model.OPTIMAL, cp_model.INFEASIBLE):
            end = Status.COMPLETE
        else:
            end = Status.TIME if time.monotonic() - begin >= left else Status.NODES
        return rows, end, int(solver.num_conflicts)


def _cp_model() -> Any:
    try:
        from ortools.sat.python import cp_model
    except ImportError as error:
        raise ImportError("CpSat needs OR-tools; install it: pip install 'drawgrad[ortools]'") from error
    return cp_model


def _collector(cp_model: Any, variables: list[Any], rows: list[list[int]], wanted: int) -> Any:
    class Collector(cp_model.CpSolverSolutionCallback):
        """Keeps solutions until there are enough."""

        def on_solution_callback(self) -> None:
            """Called for each solution."""
            if len(rows) < wanted:
                rows.append([self.value(variable) for variable in variables])
            if len(rows) == wanted:
                self.stop_search()

    return Collector()


def _values(words: list[int]) -> list[int]:
    """The values of a domain."""
    return [64 * place + bit for place, word in enumerate(words) for bit in range(64) if word >> bit & 1]


def _model(cp_model: Any, program: Any) -> tuple[Any, list[Any]]:
    """The constraints of a program among variables that have all values yet."""
    variables, values, constraints = decode(program)
    model = cp_model.CpModel()
    everything = [model.new_int_var(0, max(values - 1, 0), "") for _ in range(variables)]
    for kind, data, scope in constraints:
        KINDS[kind](cp_model, model, data, [everything[number] for number in scope])
    return model, everything


def _distinct(cp_model: Any, model: Any, data: list[int], scope: list[Any]) -> None:
    model.add_all_different(scope)


def _pairs(cp_model: Any, model: Any, data: list[int], scope: list[Any]) -> None:
    values, words, *partners = data
    rows = [partners[value * words : (value + 1) * words] for value in range(values)]
    model.add_allowed_assignments(scope, [(v, w) for v, row in enumerate(rows) for w in _values(row)])


def _tuples(cp_model: Any, model: Any, data: list[int], scope: list[Any]) -> None:
    width = len(scope)
    rows = [tuple(data[1 + number * width : 1 + (number + 1) * width]) for number in range(data[0])]
    model.add_allowed_assignments(scope, rows)


def _sums(cp_model: Any, model: Any, data: list[int], scope: list[Any]) -> None:
    allowed, rest = data[1 : 1 + data[0]], data[1 + data[0] :]
    total = 0
    for variable in scope:
        steps, rest = rest[1 : 1 + rest[0]], rest[1 + rest[0] :]
        slope = steps[1] - steps[0] if len(steps) > 1 else 0
        if all(step == steps[0] + slope * value for value, step in enumerate(steps)):
            total += steps[0] + slope * variable
            model.add(variable < len(steps))
        else:
            added = model.new_int_var(0, max(steps), "")
            model.add_allowed_assignments([variable, added], list(enumerate(steps)))
            total += added
    sums = cp_model.Domain.from_values([number for number, good in enumerate(allowed) if good])
    model.add_linear_expression_in_domain(total, sums)


def _literals(cp_model: Any, model: Any, data: list[int], scope: list[Any]) -> None:
    positive, negative = scope[: data[0]], scope[data[0] :]
    model.add(sum(positive) - sum(negative) >= 1 - len(negative))
    for variable in scope:
        model.add(variable <= 1)


def _lookup(cp_model: Any, model: Any, data: list[int], scope: list[Any]) -> None:
    index, result, *array = scope
    model.add(index < len(array))
    model.add_element(index, array, result)


KINDS: dict[int, Callable[[Any, Any, list[int], list[Any]], None]] = {
    1: _distinct,
    2: _pairs,
    3: _tuples,
    4: _sums,
    5: _literals,
    6: _lookup,
    7: _distinct,
}
"""The kinds of constraints by their numbers in a program."""


def _minimize(model: Any, variables: list[Any], possible: list[list[int]], scores: list[list[float]]) -> None:
    """Minimize what the values cost against the best one of each variable, in integers."""
    costs = []
    for values, row in zip(possible, scores, strict=True):
        best = max(row[value] for value in values)
        costs.append([best - row[value] for value in values])
    largest = sum(max(row) for row in costs)
    if largest == 0:
        return
    total = 0
    for variable, values, row in zip(variables, possible, costs, strict=True):
        if max(row) > 0:
            marks = [model.new_bool_var("") for _ in values]
            model.add_exactly_one(marks)
            model.add(variable == sum(value * mark for value, mark in zip(values, marks, strict=True)))
            total += sum(round(cost / largest * LARGEST_COST) * mark for cost, mark in zip(row, marks, strict=True))
    model.minimize(total)
