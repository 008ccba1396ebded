"""Which estimator, at which temperature? A ranking by mean squared error at equal budget, and the reason."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, cast

import torch
from torch import Tensor
from torch.distributions import Distribution

from drawgrad._tables import duration, significant, text_table
from drawgrad.diagnostics._gradients import CostFunction
from drawgrad.diagnostics._names import named
from drawgrad.diagnostics._reference import count_states, has_gradient
from drawgrad.diagnostics._statistics import Estimate
from drawgrad.diagnostics.comparison import compare
from drawgrad.diagnostics.report import Quality, Report
from drawgrad.estimators import ESTIMATORS, Estimator, Exact

__all__ = ["Ranked", "Recommendation", "candidates", "recommend"]

TEMPERATURES = (0.1, 0.3, 0.5, 1.0, 2.0)
TOLD_APART = 3.0
"""Standard errors by which two mean squared errors differ for one to be called smaller."""
HARDLY = 0.95
"""The part of the error of a zero gradient above which another error is hardly less."""


@dataclass(frozen=True)
class Ranked:
    """An estimator with its place in a ranking.

    Attributes:
        estimator: the estimator.
        quality: what was measured of one of its gradients.
        gradients: how many of its gradients the budget pays for; they are averaged.
        mean_squared_error: of that average: squared bias, and the variance divided by ``gradients``.
        bias_share: which part of it is squared bias.
    """

    estimator: Estimator
    quality: Quality
    gradients: float
    mean_squared_error: Estimate
    bias_share: float


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
    unit: Literal["evaluations", "seconds"]
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
        headings = ("estimator", "mean squared error", "of it bias", "gradients averaged")
        rows = (
            (
                place.quality.name,
                str(place.mean_squared_error),
                f"{place.bias_share:.0%}",
                significant(place.gradients),
            )
            for place in self.ranking
        )
        return f"{text_table(headings, rows)}\n{self.reason}"


def candidates(
    cost: CostFunction, q: Distribution, temperatures: Sequence[float] = TEMPERATURES, samples: int = 2
) -> list[Estimator]:
    """All estimators that fit a problem, with their default options; those with a temperature at each of several.

    An estimator fits if it takes the distribution, and the cost's gradient if it needs that; enumeration fits if there
    are few enough states. Those of another objective, a multi-sample bound, are left out.

    Args:
        cost: maps samples ``z`` of shape ``(samples, *batch, *event)`` to costs ``(samples, *lead)``.
        q: the distribution.
        temperatures: for each estimator whose temperature is an option, not one that it learns.
        samples: for those that need more than one, and use them to more effect than averaging.

    Example:
        >>> from torch.distributions import Normal
        >>> candidates(lambda z: z**2, Normal(0.0, 1.0))
        [LeaveOneOut(samples=2), Pathwise(samples=1), Reinforce(
          samples=1
          (baseline): NoBaseline()
        )]
    """
    differentiable = has_gradient(cost, q)
    found: list[Estimator] = []
    for name in sorted(ESTIMATORS):
        estimator = ESTIMATORS[name]()
        if estimator.multi_sample_bound or (estimator.needs_cost_gradient and not differentiable):
            continue
        try:
            estimator.check_supported(q)
        except TypeError:
            continue
        if isinstance(estimator, Exact):
            found += [estimator] if count_states(cost, q) is not None else []
        elif getattr(estimator, "fewest_samples", 1) > 1:
            found.append(dataclasses.replace(cast(Any, estimator), samples=samples))
        else:
            found += _at_temperatures(estimator, temperatures)
    return found


def recommend(
    cost: CostFunction,
    q: Distribution,
    *,
    estimators: Sequence[Estimator] | Mapping[str, Estimator] | None = None,
    evaluations: float | None = None,
    seconds: float | None = None,
    draws: int = 1000,
    reference: Estimator | Tensor | None = None,
    generator: torch.Generator | None = None,
) -> Recommendation:
    r"""Rank estimators and temperatures for a cost of your own, by mean squared error at an equal budget.

    .. math:: \mathrm{MSE} = \mathrm{bias}^2 + \mathrm{variance} \cdot \frac{c}{B}

    where B is the budget of a training step and c what one gradient takes of it: B/c gradients are averaged. Of two
    that are alike to three digits, the one with the shorter name comes first. The reason says so if even the best is
    not clearly closer to the exact gradient than zero is, and if what is known of it rests on too few draws.

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
    unit: Literal["evaluations", "seconds"] = "evaluations" if seconds is None else "seconds"
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
    ranking = sorted((place for place in places if place.gradients >= 1), key=_order)
    if not ranking:
        least = min(getattr(row, unit) for row in report.rows)
        raise ValueError(
            f"{unit} must pay for one gradient at least, but it is {budget:g}, and the cheapest takes {least:.3g}; "
            "raise the budget"
        )
    reason = _reason(ranking, _words(budget, unit))
    remarks = "".join(f"; but {remark}" for remark in _remarks(ranking[0], report.reference_norm.value**2))
    return Recommendation(tuple(ranking), budget, unit, f"{reason[:-1]}{remarks}.", report)


def _at_temperatures(estimator: Estimator, temperatures: Sequence[float]) -> list[Estimator]:
    if not dataclasses.is_dataclass(estimator):
        return [estimator]
    names = {field.name for field in dataclasses.fields(estimator)} & {"tau", "backward_tau"}
    if not names:
        return [estimator]
    (name,) = names
    return [dataclasses.replace(estimator, **{name: tau}) for tau in temperatures]


def _place(estimator: Estimator, row: Quality, budget: float, unit: Literal["evaluations", "seconds"]) -> Ranked:
    gradients = budget / (row.evaluations if unit == "evaluations" else row.seconds)
    bias = max(row.bias_squared.value, 0.0)
    error = bias + row.variance.value / gradients
    spread = math.hypot(row.bias_squared.error, row.variance.error / gradients)
    return Ranked(estimator, row, gradients, Estimate(error, spread), bias / error if error > 0 else 0.0)


def _order(place: Ranked) -> tuple[bool, float, int]:
    """What is sorted by: errors that are not finite come last."""
    error = place.mean_squared_error.value
    return not math.isfinite(error), float(f"{error:.3g}"), len(place.quality.name)


def _words(budget: float, unit: str) -> str:
    if unit == "seconds":
        return duration(budget)
    return f"{budget:g} evaluation{'' if budget == 1 else 's'}"


def _remarks(best: Ranked, zero: float) -> Iterator[str]:
    """What speaks against the best one, given the mean squared error of a gradient that is zero."""
    error = best.mean_squared_error
    if error.value > zero:
        yield f"a gradient of zero has less, {significant(zero)}, so the budget is too small"
    elif error.value + TOLD_APART * error.error > HARDLY * zero > 0:
        yield f"a gradient of zero has hardly more, {significant(zero)}, so the budget is too small"
    if best.quality.verdict == "too few draws" and best.bias_share > 0.5:
        # Most of the error is a difference that gradients explain which were too rare to be drawn.
        yield "its rare gradients may not have been drawn, so its error may be larger, and more draws are needed"


def _reason(ranking: Sequence[Ranked], budget: str) -> str:
    """One sentence about the best and the runner-up: by how much, and what makes the difference."""
    best = ranking[0]
    found = significant(best.mean_squared_error.value)
    if len(ranking) == 1:
        return f"{best.quality.name} is the only estimator that {budget} pay for; its mean squared error is {found}."
    second = ranking[1]
    gap = second.mean_squared_error.value - best.mean_squared_error.value
    noise = math.hypot(best.mean_squared_error.error, second.mean_squared_error.error)
    start = (
        f"{best.quality.name} has the smallest mean squared error at {budget}: {found}, against "
        f"{significant(second.mean_squared_error.value)} of {second.quality.name}"
    )
    if best.mean_squared_error == Estimate(0.0, 0.0) and gap > 0:
        return f"{start}, because it has neither variance nor bias."
    if not gap > TOLD_APART * noise:
        return f"{start}, which the measurement does not tell apart."
    variances = [place.quality.variance.value / place.gradients for place in (best, second)]
    biases = [math.sqrt(max(place.quality.bias_squared.value, 0.0)) for place in (best, second)]
    if variances[1] - variances[0] >= biases[1] ** 2 - biases[0] ** 2:
        what, pair = "variance", variances
        other = f", and its bias of {significant(biases[0])} weighs less" if best.quality.verdict == "biased" else ""
    else:
        what, pair = "bias", biases
        other = ", which outweighs its variance" if variances[0] > variances[1] else ""
    return f"{start}, because its {what} is {significant(pair[0])} instead of {significant(pair[1])}{other}."
