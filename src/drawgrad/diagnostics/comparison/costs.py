"""What is known of a cost: how far its values spread, how coarsely they round, whether it is random."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor

from drawgrad.variables import Distributions, variables_of

__all__ = ["CostFunction", "Samples", "Watched", "count_samples", "each_tensor", "numbers_in", "some_sample"]

Samples = Any
"""A tensor, or a list or dict of tensors, of which the first dimension are samples."""
CostFunction = Callable[[Samples], Tensor]

CANCELLED = 4.0
"""A gradient may be off by this many units in the last place of the largest cost, whatever the statistics say."""
TWICE = 1000
"""Samples whose cost is computed twice, to see whether it is the same."""
SAME = 16.0
"""Units in the last place of the largest cost by which two values of one sample may differ, on a parallel machine."""


def each_tensor(function: Callable[[Tensor], Any], z: Samples) -> Any:
    """What a function makes of each tensor, in the same container."""
    if isinstance(z, Mapping):
        return {key: function(value) for key, value in z.items()}
    return [function(value) for value in z] if isinstance(z, list) else function(z)


def _tensors(z: Samples) -> list[Tensor]:
    found: list[Tensor] = []
    each_tensor(found.append, z)
    return found


def count_samples(z: Samples) -> int:
    """How many samples there are."""
    return len(_tensors(z)[0])


def numbers_in(z: Samples) -> int:
    """How many numbers the samples have, all together."""
    return sum(value.numel() for value in _tensors(z))


def some_sample(q: Distributions) -> Samples:
    """One sample, always the same, shape ``(1, *batch, *event)``."""
    variable = variables_of(q)
    with torch.no_grad():
        return variable.sample_of(variable.expand(1).draw(torch.zeros((), dtype=torch.int64, device=variable.device)))


class Watched:
    """A cost, and what its values were; those that are not finite do not count.

    Attributes:
        cost: the cost itself.
        is_random: whether it took random numbers of torch's generators, or said different things of the same samples.
    """

    def __init__(self, cost: CostFunction) -> None:
        self.cost = cost
        self.is_random = False
        self._eps = 0.0
        self._low, self._high = math.inf, -math.inf
        self._compared = 0

    def __call__(self, z: Samples) -> Tensor:
        before = _generators()
        costs = self.cost(z)
        if not isinstance(costs, Tensor) or not costs.is_floating_point():
            return costs
        values = costs.detach()
        if not self.is_random:
            self.is_random = not torch.equal(before, _generators()) or self._differs(z, values)
        values = values[values.isfinite()]
        if values.numel():
            self._eps = max(self._eps, torch.finfo(values.dtype).eps)
            self._low, self._high = min(self._low, float(values.min())), max(self._high, float(values.max()))
        return costs

    def rounding(self, dtype: torch.dtype) -> float:
        """What a gradient of that dtype may be off by, as it is what is left of costs that cancel."""
        return CANCELLED * max(self._eps, torch.finfo(dtype).eps) * self._largest

    @property
    def spread(self) -> float:
        """The difference between the largest and the smallest value."""
        return max(self._high - self._low, 0.0)

    @property
    def _largest(self) -> float:
        return max(-self._low, self._high, 0.0)

    @torch.no_grad()
    def _differs(self, z: Samples, values: Tensor) -> bool:
        if self._compared >= TWICE:
            return False
        self._compared += count_samples(z)
        again = self.cost(each_tensor(Tensor.detach, z))
        off = (again - values).abs()
        off = off[off.isfinite()]
        if not torch.equal(again.isfinite(), values.isfinite()):
            return True
        allowed = SAME * torch.finfo(values.dtype).eps * values[values.isfinite()].abs().max() if off.numel() else 0.0
        return bool((off > allowed).any())


def _generators() -> Tensor:
    """The states of the generators that a cost may draw from."""
    states = [torch.get_rng_state()]
    if torch.cuda.is_available() and torch.cuda.is_initialized():
        states.append(torch.cuda.get_rng_state())
    return torch.cat(states)
