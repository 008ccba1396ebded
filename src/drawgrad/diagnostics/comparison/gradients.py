"""Many gradient estimates of one estimator: independent draws, as many at once as memory allows."""

from __future__ import annotations

import statistics
import time
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from drawgrad.diagnostics.comparison.costs import (
    CostFunction,
    Samples,
    count_samples,
    each_tensor,
    numbers_in,
    some_sample,
)
from drawgrad.diagnostics.comparison.replicas import Replicas, replicate
from drawgrad.estimators import Estimator
from drawgrad.variables import Distributions

__all__ = ["Effort", "draw_gradients", "loss_of", "measure_effort", "own_memory", "rows_at_once", "try_out"]

AT_ONCE = 2**18
"""Numbers in the samples z that a cost gets at once; what it makes of them may be many times as much."""
LARGEST = 2**27
"""Numbers in all gradients of one estimator: half a gigabyte in float32."""
AS_MUCH = 16
"""What a cost makes of a number of a sample, as far as an estimator's own memory is weighed against it."""
FEWEST, MOST, PATIENCE = 5, 50, 0.05
"""Calls that are timed: at least, at most, and the seconds after which no more are."""


@dataclass(frozen=True)
class Effort:
    """What one gradient costs.

    Attributes:
        evaluations: samples z that the cost is given, for each element of the result.
        seconds: wall time of one call and its backward pass, the median of a few.
        rows: how many samples, with what the cost makes of them, take as much memory as one gradient does.
    """

    evaluations: int
    seconds: float
    rows: int


@torch.no_grad()
def try_out(estimator: Estimator, cost: CostFunction, q: Distributions, generator: torch.Generator) -> None:
    """Call an estimator once, so that mistakes are told in the shapes that the caller knows.

    Raises:
        TypeError: if the estimator does not take this ``q``.
        ValueError: if the cost is wrong; the message is that of the estimator.
    """
    estimator(cost, q, generator=generator)


def measure_effort(estimator: Estimator, cost: CostFunction, q: Distributions, generator: torch.Generator) -> Effort:
    """Time single gradients, and count the samples that one takes."""
    given, elements = 0, 1

    def counted(z: Samples) -> Tensor:
        nonlocal given, elements
        given += count_samples(z)
        costs = cost(z)
        elements = costs[:1].numel()
        return costs

    own = [p for p in estimator.parameters() if p.requires_grad] if isinstance(estimator, nn.Module) else []
    seconds: list[float] = []
    while len(seconds) < FEWEST or (len(seconds) < MOST and sum(seconds) < PATIENCE):
        given = 0
        begin = time.perf_counter()
        copies = replicate(q, 1)
        loss = loss_of(estimator, counted, copies, generator)
        # What learns is trained in the same backward pass.
        found = torch.autograd.grad(loss, [*copies.parameters, *own], allow_unused=True)
        [grad.cpu() for grad in found if grad is not None]
        seconds.append(time.perf_counter() - begin)
    numbers = numbers_in(some_sample(q))
    rows = max(given, own_memory(estimator, numbers, elements) // (AS_MUCH * max(1, numbers)))
    return Effort(given, statistics.median(seconds), rows)


def own_memory(estimator: Estimator, numbers: int, elements: int) -> int:
    """Numbers that a call of an estimator holds by itself, with so many in a sample and elements in a result."""
    return elements * estimator.memory(numbers // max(1, elements))


def draw_gradients(
    estimator: Estimator,
    cost: CostFunction,
    q: Distributions,
    draws: int,
    generator: torch.Generator,
    rows: int,
    at_once: int | None = None,
) -> Tensor:
    """Draw independent gradients for the parameters of ``q``.

    Args:
        estimator: whose gradients.
        cost: maps ``z`` of shape ``(samples, *batch, *event)`` to costs ``(samples, *lead)``.
        q: the distribution.
        draws: how many.
        generator: draws the seeds.
        rows: samples that one gradient takes, or whose memory it takes.
        at_once: draws that are computed together; as many as memory allows if None.

    Returns:
        Gradients, shape ``(draws, parameters)``, on the CPU, in the dtype of the parameters.

    Raises:
        ValueError: if there are too many to be held in memory.
    """
    at_once = min(draws, at_once or max(1, rows_at_once(q) // max(1, rows)))
    parts: list[Tensor] = []
    for start in range(0, draws, at_once):
        copies = replicate(q, min(at_once, draws - start))
        parts.append(copies.gradients(loss_of(estimator, cost, copies, generator)).cpu())
        parameters = parts[0].shape[1]
        if draws * parameters > LARGEST:
            raise ValueError(
                f"draws must be at most {LARGEST // parameters} for {parameters} parameters, as all are held in "
                f"memory, but it is {draws}; take fewer, or measure on a smaller batch"
            )
    return torch.cat(parts)


def rows_at_once(q: Distributions) -> int:
    """How many samples of ``q`` a cost gets at once."""
    return max(1, AT_ONCE // max(1, numbers_in(some_sample(q))))


def loss_of(estimator: Estimator, cost: CostFunction, copies: Replicas, generator: torch.Generator) -> Tensor:
    """The loss of all copies together, with a graph."""

    # A cost takes any number of samples, but the batch of q is its own affair: to it, copies are further samples.
    def merged(z: Samples) -> Tensor:
        samples = count_samples(z)
        return cost(each_tensor(lambda value: value.flatten(0, 1), z)).unflatten(0, (samples, -1))

    with torch.enable_grad():
        return estimator(merged, copies.q, generator=generator).sum()
