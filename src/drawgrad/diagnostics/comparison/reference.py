"""The gradient that all others are held against: exact where the states can be enumerated, else drawn."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.distributions import Bernoulli, Distribution, Independent, OneHotCategorical

from drawgrad._independent import innermost
from drawgrad.diagnostics.comparison.adaptation import adapted
from drawgrad.diagnostics.comparison.gradients import CostFunction, draw_gradients, measure_effort, rows_at_once
from drawgrad.diagnostics.comparison.names import name_of
from drawgrad.diagnostics.comparison.reach import Watched, longest
from drawgrad.diagnostics.comparison.replicas import replicate
from drawgrad.diagnostics.comparison.statistics import Sample
from drawgrad.estimators import Estimator, Exact, LeaveOneOut

__all__ = ["Reference", "count_states", "has_gradient", "make_reference"]

LARGEST = 2**26
"""Numbers in all states together: a quarter of a gigabyte in float32."""


@dataclass(frozen=True)
class Reference:
    """The exact gradient, or gradients whose mean stands for it, and words that say which."""

    sample: Sample
    description: str


def make_reference(
    given: Estimator | Tensor | None,
    cost: Watched,
    q: Distribution,
    draws: int,
    generator: torch.Generator,
    at_once: int | None,
) -> Reference:
    """Compute the reference, from what the caller gave.

    Raises:
        TypeError: if it is of a wrong type, or does not take this ``q``.
        ValueError: if it is an estimator with a bias.
    """
    if isinstance(given, Tensor):
        parameters = sum(leaf.numel() for leaf in replicate(q, 1).parameters)
        if given.numel() != parameters:
            raise ValueError(
                f"reference must have the {parameters} numbers of a gradient for q, but its shape is "
                f"{tuple(given.shape)}; give the gradient for the parameters of q, one behind the other"
            )
        return Reference(Sample(given.detach().reshape(1, -1).cpu()), "the exact gradient, as given")
    if given is None:
        states = count_states(cost, q)
        given = LeaveOneOut(samples=16) if states is None else Exact(limit=states)
    if not isinstance(given, Estimator):
        raise TypeError(f"reference must be an unbiased estimator, a tensor or None, but it is {given!r}")
    if not given.unbiased or given.multi_sample_bound:
        raise ValueError(
            f"reference must be unbiased, but {type(given).__name__} is not; use LeaveOneOut(samples=16), or leave it "
            f"out"
        )
    given.check_supported(q)
    if isinstance(given, Exact):
        parts = _in_parts(cost, min(rows_at_once(q), at_once or rows_at_once(q)), q)
        found = draw_gradients(given, parts, _in_double(q), 1, generator, 1)
        return Reference(Sample(found), "the exact gradient, by enumeration")
    ready = adapted(given, cost, q, 0, generator)
    # How often it is timed depends on the machine, and must not move the draws.
    evaluations = measure_effort(ready, cost, q, torch.Generator().manual_seed(0)).evaluations
    found = draw_gradients(ready, cost, q, draws, generator, evaluations, at_once)
    reach = longest(found, ready, cost, q, generator, evaluations, at_once)
    return Reference(Sample(found, reach=reach), f"the mean of {draws} gradients of {name_of(given)}")


def count_states(cost: CostFunction, q: Distribution) -> int | None:
    """How many states the variables that share a cost have, or None if they cannot be enumerated in memory and time."""
    base = innermost(q)
    if not isinstance(base, OneHotCategorical | Bernoulli):
        return None
    first = _some_sample(q)
    with torch.no_grad():
        lead = cost(first).dim() - 1
    classes = first.shape[-1] if isinstance(base, OneHotCategorical) else 2
    states = classes ** base.batch_shape[lead:].numel()
    return states if states <= Exact().limit and states * first.numel() <= LARGEST else None


def has_gradient(cost: CostFunction, q: Distribution) -> bool:
    """Whether a gradient leads from the costs to the samples."""
    with torch.enable_grad():
        z = _some_sample(q).requires_grad_()
        costs = cost(z)
        return costs.requires_grad and torch.autograd.grad(costs.sum(), z, allow_unused=True)[0] is not None


def _some_sample(q: Distribution) -> Tensor:
    """One sample, always the same, shape ``(1, *batch, *event)``."""
    with torch.no_grad(), torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(0)
        return q.sample(torch.Size([1]))


def _in_double(q: Distribution) -> Distribution:
    """A discrete distribution in float64."""
    if isinstance(q, Independent):
        return Independent(_in_double(q.base_dist), q.reinterpreted_batch_ndims, validate_args=False)
    assert isinstance(q, OneHotCategorical | Bernoulli)
    return type(q)(logits=q.logits.detach().double(), validate_args=False)


def _in_parts(cost: CostFunction, rows: int, q: Distribution) -> CostFunction:
    """The values of a cost in float64, less that of the first state, a few samples at a time.

    What is the same in all states has no part in the gradient, and would only be rounded.
    """
    dtype = _some_sample(q).dtype
    first: Tensor | None = None

    @torch.no_grad()
    def parts(z: Tensor) -> Tensor:
        nonlocal first
        costs = torch.cat([cost(part.to(dtype)).double() for part in z.split(rows)])
        if first is None:
            first = torch.where(costs[0].isfinite(), costs[0], 0.0)
        return costs - first

    return parts
