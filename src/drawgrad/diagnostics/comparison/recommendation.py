"""Which estimator, at which temperature? A ranking by mean squared error at equal budget, and the reason."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, cast

import torch
from torch import Tensor

from drawgrad._tables import text_table
from drawgrad.diagnostics.comparison.costs import CostFunction, numbers_in, some_sample
from drawgrad.diagnostics.comparison.gradients import own_memory
from drawgrad.diagnostics.comparison.measurement import compare
from drawgrad.diagnostics.comparison.names import named
from drawgrad.diagnostics.comparison.quality import Estimate, Quality, Ranked
from drawgrad.diagnostics.comparison.reference import count_states, has_gradient
from drawgrad.diagnostics.comparison.rendering.table import RANKING, ranking_cells
from drawgrad.diagnostics.comparison.rendering.words import budget_in_words, reason
from drawgrad.diagnostics.comparison.report import Report
from drawgrad.estimators import ESTIMATORS, Estimator
from drawgrad.variables import Distributions

__all__ = ["Recommendation", "candidates", "recommend"]

TEMPERATURES = (0.1, 0.3, 0.5, 1.0, 2.0)
LARGEST = 2**18
"""Numbers that one gradient of a candidate may hold besides its samples: they are work as well."""
Unit = Literal["evaluations", "seconds"]


@dataclass(frozen=True)
class Recommendation:
    """What :func:`~drawgrad.diagnostics.recommend` found.

    Attributes:
        ranking: best first; estimators of which the budget does not pay for one gradient are left out.
        budget: evaluations or seconds a gradient step may take.
        unit: which of the two.
        reason: why the first one is the first, in one sentence.
        report: all measurements.
    """

    ranking: tuple[Ranked, ...]
    budget: float
    unit: Unit
    reason: str
    report: Report

    @property
    def best(self) -> Estimator:
        """The estimator to use."""
        return self.ranking[0].estimator

    def __str__(self) -> str:
        return self.text()

    def text(self) -> str:
        """The ranking as a table, and the reason."""
        return f"{text_table(RANKING, ranking_cells(self.ranking, self.unit))}\n{self.reason}"


def candidates(
    cost: CostFunction, q: Distributions, temperatures: Sequence[float] = TEMPERATURES, samples: int = 2
) -> list[Estimator]:
    """All estimators that fit a problem, with their default options; those with a temperature at each of several.

    An estimator fits if it takes the distribution, and the cost's gradient if it needs that; enumeration fits if there
    are few enough states. Those of another objective, a multi-sample bound, are left out.

    Args:
        cost: maps samples ``z`` of shape ``(samples, *batch, *event)`` to costs ``(samples, *lead)``.
        q: the distribution.
        temperatures: for each estimator whose temperature is an option, not one that it learns.
        samples: for those that need more than one, and use them to more effect than averaging; fewer for one whose own
            memory would grow too large, such as with the square of their number.

    Example:
        >>> from torch.distributions import Normal
        >>> candidates(lambda z: z**2, Normal(0.0, 1.0))
        [LeaveOneOut(samples=2), Pathwise(samples=1), Reinforce(
          samples=1
          (baseline): NoBaseline()
        )]
    """
    differentiable = has_gradient(cost, q)
    first = some_sample(q)
    with torch.no_grad():
        numbers, elements = numbers_in(first), cost(first).numel()
    found: list[Estimator] = []
    for name in sorted(ESTIMATORS):
        estimator = ESTIMATORS[name]()
        if estimator.multi_sample_bound or (estimator.needs_cost_gradient and not differentiable):
            continue
        enumerates = estimator.exact and estimator.unbiased
        if estimator.obstacle(q) is not None or (enumerates and count_states(cost, q) is None):
            continue
        if estimator.fewest_samples > 1:
            found.append(_of_samples(ESTIMATORS[name], samples, numbers, elements))
        else:
            found += [estimator] if estimator.temperature is None else map(estimator.at, temperatures)
    return found


def _of_samples(cls: type[Estimator], samples: int, numbers: int, elements: int) -> Estimator:
    """With so many samples, or with as many as it has memory for."""
    make = cast(Any, cls)
    more = range(cls.fewest_samples + 1, samples + 1)
    held = bisect_right(more, LARGEST, key=lambda count: own_memory(make(samples=count), numbers, elements))
    return cast(Estimator, make(samples=cls.fewest_samples + held))


def recommend(
    cost: CostFunction,
    q: Distributions,
    *,
    estimators: Sequence[Estimator] | Mapping[str, Estimator] | None = None,
    evaluations: float | None = None,
    seconds: float | None = None,
    draws: int = 1000,
    reference: Estimator | Tensor | None = None,
    generator: torch.Generator | None = None,
) -> Recommendation:
    r"""Rank estimators and temperatures for a cost of your own, by mean squared error at an equal budget.

    .. math:: \mathrm{MSE} = \mathrm{bias}^2 + \mathrm{variance} / n, \qquad n = \lfloor B / c \rfloor

    where B is the budget of a training step and c what one gradient takes of it: n whole gradients are averaged, and
    the ranking says what is left of the budget. Of two that are alike to three digits, the one with the shorter name
    comes first. The reason says so if even the best is not clearly closer to the exact gradient than zero is, and if
    what is known of it rests on too few draws.

    Args:
        cost: maps samples ``z`` of shape ``(samples, *batch, *event)`` to costs ``(samples, *lead)``.
        q: the distribution.
        estimators: what to rank, a list, or a dict with names of your own; all :func:`candidates` if None.
        evaluations: the budget in samples z that the cost is given; 10 if no budget is given.
        seconds: the budget in time, instead.
        draws: gradients of each estimator, as in :func:`~drawgrad.diagnostics.compare`.
        reference: as in :func:`~drawgrad.diagnostics.compare`.
        generator: draws the seeds; torch's default generator if None.

    Returns:
        The ranking and the reason; ``print`` shows both.

    Raises:
        TypeError: if a budget is no number, or as :func:`~drawgrad.diagnostics.compare` does.
        ValueError: if both budgets are given, if the budget pays for no estimator, if one is of a multi-sample bound,
            or as :func:`~drawgrad.diagnostics.compare` does.

    Example:
        >>> from torch.distributions import OneHotCategorical
        >>> q = OneHotCategorical(logits=torch.zeros(3))
        >>> found = recommend(lambda z: (z * torch.arange(3.0)).sum(-1), q, evaluations=1, draws=200)
        >>> found.best
        StraightThrough(samples=1)
        >>> print(found.reason.partition(": ")[0])
        StraightThrough has the smallest mean squared error at 1 evaluation
    """
    if evaluations is not None and seconds is not None:
        raise ValueError("evaluations and seconds must not both be given, for there is one budget; leave one out")
    budget = 10.0 if evaluations is None and seconds is None else evaluations if seconds is None else seconds
    unit: Unit = "evaluations" if seconds is None else "seconds"
    assert budget is not None
    if isinstance(budget, bool) or not isinstance(budget, int | float):
        raise TypeError(f"{unit} must be a number, but it is {budget!r}; give what a training step may take")
    if not 0 < budget < math.inf:
        raise ValueError(
            f"{unit} must be positive and finite, but it is {budget!r}; give what a training step may take"
        )
    if estimators is None:
        estimators = candidates(cost, q, samples=max(2, int(budget)) if unit == "evaluations" else 2)
    listed = named(estimators)
    bounds = [name for name, estimator in listed.items() if estimator.multi_sample_bound]
    if bounds and not isinstance(reference, Tensor):
        raise ValueError(
            f"estimators must be of the gradient of E[cost] to be ranked together, but {bounds[0]} is of that of a "
            "multi-sample bound; leave it out, or give the exact gradient of the bound as reference"
        )
    report = compare(listed, cost, q, draws=draws, reference=reference, generator=generator)
    places = [_place(listed[row.name], row, budget, unit) for row in report.rows]
    ranking = sorted((place for place in places if place is not None), key=_order)
    if not ranking:
        least = min(_price(row, unit) for row in report.rows)
        raise ValueError(
            f"{unit} must pay for one gradient at least, but it is {budget:g}, and the cheapest takes {least:.3g}; "
            "raise the budget"
        )
    said = reason(ranking, budget_in_words(budget, unit), report.reference_norm.value**2)
    return Recommendation(tuple(ranking), budget, unit, said, report)


def _price(row: Quality, unit: Unit) -> float:
    return row.evaluations if unit == "evaluations" else row.seconds


def _place(estimator: Estimator, row: Quality, budget: float, unit: Unit) -> Ranked | None:
    """The place of an estimator, or None if the budget does not pay for one gradient."""
    price = _price(row, unit)
    gradients = math.floor(budget / price)
    if gradients < 1:
        return None
    bias = max(row.bias_squared.value, 0.0)
    error = bias + row.variance.value / gradients
    spread = math.hypot(row.bias_squared.error, row.variance.error / gradients)
    share = bias / error if error > 0 else 0.0
    return Ranked(estimator, row, gradients, budget - gradients * price, Estimate(error, spread), share)


def _order(place: Ranked) -> tuple[bool, float, int]:
    """What is sorted by: errors that are not finite come last."""
    error = place.mean_squared_error.value
    return not math.isfinite(error), float(f"{error:.3g}"), len(place.quality.name)
