"""The gradient that all others are held against: exact where the states can be enumerated, else drawn."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from drawgrad.diagnostics.comparison.adaptation import adapted
from drawgrad.diagnostics.comparison.costs import (
    CostFunction,
    Samples,
    Watched,
    count_samples,
    each_tensor,
    numbers_in,
    some_sample,
)
from drawgrad.diagnostics.comparison.gradients import draw_gradients, measure_effort, rows_at_once
from drawgrad.diagnostics.comparison.names import name_of
from drawgrad.diagnostics.comparison.reach import longest
from drawgrad.diagnostics.comparison.replicas import replicate
from drawgrad.diagnostics.comparison.statistics import Sample
from drawgrad.estimators import Estimator, Exact, LeaveOneOut
from drawgrad.variables import Countable, Distributions, variables_of

__all__ = ["Reference", "count_states", "has_gradient", "make_reference"]

LARGEST = 2**26
"""Numbers in all states together: a quarter of a gigabyte in float32."""
MOST_COSTS = 2**22
"""Costs that the enumerations of a random cost take together; beyond, samples do."""
SAMPLED = 4
"""Gradients of a sampled reference, for each one of an estimator."""


@dataclass(frozen=True)
class Reference:
    """The exact gradient, or gradients whose mean stands for it, and words that say which."""

    sample: Sample
    description: str


def make_reference(
    given: Estimator | Tensor | None,
    cost: Watched,
    q: Distributions,
    draws: int,
    generator: torch.Generator,
    at_once: int | None,
) -> Reference:
    """Compute the reference, from what the caller gave.

    An enumeration is exact, unless the cost is random: then as many enumerations as draws stand for it, each with
    random numbers of its own.

    Args:
        given: an unbiased estimator, the gradient itself, or None to choose.
        cost: the cost; whether it is random is looked at here too.
        q: the distribution.
        draws: gradients that an estimator is judged by.
        generator: draws the seeds.
        at_once: draws, or states, that are computed together; as many as memory allows if None.

    Raises:
        TypeError: if it is of a wrong type, or does not take this ``q``.
        ValueError: if it is an estimator with a bias.
    """
    if isinstance(given, Tensor):
        return Reference(_as_given(given, q), "the exact gradient, as given")
    states = count_states(cost, q) if given is None else None
    if given is None:
        given = LeaveOneOut(samples=16) if states is None else Exact(limit=states)
    if not isinstance(given, Estimator):
        raise TypeError(f"reference must be an unbiased estimator, a tensor or None, but it is {given!r}")
    if not given.unbiased or given.multi_sample_bound:
        raise ValueError(
            f"reference must be unbiased, but {type(given).__name__} is not; use LeaveOneOut(samples=16), or leave it "
            f"out"
        )
    given.check_supported(q)
    if given.exact:
        rows = min(rows_at_once(q), at_once or rows_at_once(q))
        parts = _in_parts(cost, rows, q)
        found = draw_gradients(given, parts, _in_double(q), 1, generator, 1)
        if not cost.is_random:
            return Reference(Sample(found), "the exact gradient, by enumeration")
        if states is None or states * draws <= MOST_COSTS:
            found = draw_gradients(given, parts, _in_double(q), draws, generator, 1, 1)
            reach = longest(found, given, cost, q, generator, 1, 1)
            return Reference(Sample(found, reach=reach), f"the mean of {draws} enumerations, as the cost is random")
        given = LeaveOneOut(samples=16)
    ready = adapted(given, cost, q, 0, generator)
    # How often it is timed depends on the machine, and must not move the draws.
    rows = measure_effort(ready, cost, q, torch.Generator().manual_seed(0)).rows
    size = 1 if cost.is_random else at_once
    found = draw_gradients(ready, cost, q, SAMPLED * draws, generator, rows, size)
    reach = longest(found, ready, cost, q, generator, rows, at_once)
    return Reference(Sample(found, reach=reach), f"the mean of {SAMPLED * draws} gradients of {name_of(given)}")


def count_states(cost: CostFunction, q: Distributions) -> int | None:
    """How many states the variables that share a cost have, or None if they cannot be enumerated in memory and time."""
    variable = variables_of(q)
    if not isinstance(variable, Countable):
        return None
    first = some_sample(q)
    with torch.no_grad():
        lead = cost(first).dim() - 1
    sizes = variable.sizes(variable.batch_shape[lead:].numel())
    largest = min(Exact().limit, LARGEST // max(1, numbers_in(first)))
    # The product itself may have more digits than there is memory.
    if sum(map(math.log, sizes)) > math.log(max(1, largest)) + 1:
        return None
    states = math.prod(sizes)
    return states if states <= largest else None


def has_gradient(cost: CostFunction, q: Distributions) -> bool:
    """Whether a gradient leads from the costs to the samples."""
    with torch.enable_grad():
        z = some_sample(q)
        leaves: list[Tensor] = []
        each_tensor(lambda value: leaves.append(value.requires_grad_()) if value.is_floating_point() else None, z)
        costs = cost(z)
        if not leaves or not costs.requires_grad:
            return False
        return any(grad is not None for grad in torch.autograd.grad(costs.sum(), leaves, allow_unused=True))


def _as_given(gradient: Tensor, q: Distributions) -> Sample:
    parameters = sum(leaf.numel() for leaf in replicate(q, 1).parameters)
    if gradient.numel() != parameters:
        raise ValueError(
            f"reference must have the {parameters} numbers of a gradient for q, but its shape is "
            f"{tuple(gradient.shape)}; give the gradient for the parameters of q, one behind the other"
        )
    return Sample(gradient.detach().reshape(1, -1).cpu())


def _in_double(q: Distributions) -> Distributions:
    """The same distribution in float64."""
    variable = variables_of(q)
    doubled: Distributions = variable.remade(
        {name: value.detach().double() for name, value in variable.parameters.items()}
    )
    return doubled


def _in_parts(cost: CostFunction, rows: int, q: Distributions) -> CostFunction:
    """The values of a cost in float64, less that of the first state, a few samples at a time.

    What is the same in all states has no part in the gradient, and would only be rounded.
    """
    dtype = next(iter(variables_of(q).parameters.values())).dtype
    first: Tensor | None = None

    @torch.no_grad()
    def parts(z: Samples) -> Tensor:
        nonlocal first
        found = [_part(z, start, rows, dtype) for start in range(0, count_samples(z), rows)]
        costs = torch.cat([cost(part).double() for part in found])
        if first is None:
            first = torch.where(costs[0].isfinite(), costs[0], 0.0)
        return costs - first

    return parts


def _part(z: Samples, start: int, rows: int, dtype: torch.dtype) -> Samples:
    def taken(value: Tensor) -> Tensor:
        rest = value[start : start + rows]
        return rest.to(dtype) if value.is_floating_point() else rest

    return each_tensor(taken, z)
