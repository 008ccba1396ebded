"""The exact expectation, by enumeration: the reference of all others, and the best choice where it fits."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from drawgrad._checks import check_count
from drawgrad.estimators.base import Estimator
from drawgrad.estimators.cost import Cost, check_chunk
from drawgrad.estimators.loss import sum_variables
from drawgrad.estimators.registry import register
from drawgrad.variables import Countable

__all__ = ["Exact"]

LONGEST = 10**30
"""Larger numbers are not written out."""


@register
@dataclass(frozen=True, kw_only=True)
class Exact(Estimator):
    r"""Exact marginalization: the cost of every state, weighted by its probability.

    .. math:: \sum_z q(z) f(z), \qquad \text{gradient for one variable: } \sum_i \pi_i f(e_i) (e_i - \pi)

    Estimates: the expectation and its gradient, exactly.
    Requires: K^N evaluations, N the number of variables that share a cost; no gradient of the cost.
    Bias: none, and no variance either.

    Args:
        limit: largest number of states; more are refused.
        chunk: how many states the cost sees at once; all if None. The result is the same, in less memory: a chunk's
            graph is built again in the backward pass.

    Example:
        >>> import torch
        >>> from torch.distributions import OneHotCategorical
        >>> q = OneHotCategorical(logits=torch.zeros(2, 3))
        >>> Exact()(lambda z: (z * torch.arange(3.0)).sum(-1), q).round(decimals=4)
        tensor([1., 1.])
    """

    limit: int = 2**16
    chunk: int | None = None
    exact: ClassVar[bool] = True
    unbiased: ClassVar[bool] = True
    twice_differentiable: ClassVar[bool] = True
    needs_cost_gradient: ClassVar[bool] = False
    takes: ClassVar[type] = Countable

    def __post_init__(self) -> None:
        check_count(self.limit, "limit", minimum=1)
        check_chunk(self.chunk)

    def evaluations(self, states: int, variables: int) -> int:
        """K^N."""
        return states**variables

    def estimate(self, cost: Cost, variable: Countable, seed: Tensor) -> Tensor:
        # The first state is the same whichever variables share a cost, and its cost tells which ones do.
        first = torch.zeros(1, *variable.batch_shape, dtype=torch.int64, device=variable.device)
        costs = cost.of_states(variable, first, self.chunk)
        shared = variable.batch_shape[costs.dim() - 1 :].numel()
        sizes = variable.sizes(shared)
        count = math.prod(sizes)
        if count > self.limit:
            raise ValueError(
                f"Exact enumerates {_written(sizes, count)} states, more than its limit of {self.limit}; use an "
                f"estimator that samples, let fewer variables share a cost, or use Exact(limit={_short(count)})"
            )
        states = _digits(sizes, variable.device)
        lead = variable.batch_shape[: costs.dim() - 1].numel()
        number = states.repeat(1, lead).reshape(count, *variable.batch_shape)
        if count > 1:
            costs = torch.cat([costs, cost.of_states(variable, number[1:], self.chunk)])
        weights = sum_variables(variable.expand(count).log_prob(variable.state(number)), costs).exp()
        # A state that cannot occur may have any cost, also an infinite one.
        return (weights * torch.where(weights == 0, 0.0, costs)).sum(0)


def _digits(sizes: list[int], device: torch.device | None) -> Tensor:
    """All states of digits of these sizes, the last one counted first, shape ``(count, digits)``."""
    units = [math.prod(sizes[place + 1 :]) for place in range(len(sizes))]
    number = torch.arange(math.prod(sizes), device=device)[:, None]
    return number // torch.tensor(units, device=device) % torch.tensor(sizes, device=device)


def _written(sizes: list[int], count: int) -> str:
    """``3^40 = 12157665459056928801``, the number only as long as it can be read."""
    powers = " * ".join(f"{size}^{sizes.count(size)}" for size in dict.fromkeys(sizes))
    return powers if count >= LONGEST else f"{powers} = {count}"


def _short(count: int) -> str:
    return "..." if count >= LONGEST else str(count)
