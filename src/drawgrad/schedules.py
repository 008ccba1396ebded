"""Schedules for temperatures and loss weights: pure functions of the step.

A schedule is called with the number of steps taken so far and returns a float. It holds no state: the caller counts the
steps, and a run that is resumed at step t sees the value of step t. Any function ``step -> float`` can stand beside
these.

The names are lower-case classes: called like functions, they give objects that compare, pickle and print as they were
written.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TypeAlias

from drawgrad._checks import check_count, check_nonnegative

__all__ = ["Schedule", "constant", "cosine", "exponential", "join", "linear"]

Schedule: TypeAlias = Callable[[int], float]


@dataclass(frozen=True)
class constant:
    """The same value at every step.

    Args:
        value: The value; finite, zero or more.

    Raises:
        TypeError, ValueError: If ``value`` is no such number, or the step is not an integer from 0 on.

    Example:
        >>> constant(0.5)(1000)
        0.5
    """

    value: float

    def __post_init__(self) -> None:
        check_nonnegative(self.value, "value")

    def __call__(self, step: int) -> float:
        check_count(step, "step")
        return float(self.value)


@dataclass(frozen=True)
class exponential:
    """Exponential decay to a floor, held for a number of steps between updates.

    ``max(floor, initial * exp(-rate * t))`` with ``t = every * (step // every)``. The usual temperatures: ``initial``
    from 1 to 2, ``floor`` from 0.1 to 0.5, ``rate`` from 1e-5 to 1e-4, ``every`` from 500 to 2000 steps.

    Args:
        initial: The value at step 0; at least ``floor``.
        rate: The decay per step; zero or more.
        floor: The smallest value; zero or more. A temperature needs one above zero.
        every: Steps for which a value is held; at least 1.

    Raises:
        TypeError, ValueError: If an argument breaks its rule, or the step is not an integer from 0 on.

    Example:
        >>> temperature = exponential(1.0, rate=1e-4, floor=0.5, every=1000)
        >>> [round(temperature(step), 4) for step in (0, 999, 1000, 5000, 50000)]
        [1.0, 1.0, 0.9048, 0.6065, 0.5]

    References:
        Jang, Gu and Poole, "Categorical Reparameterization with Gumbel-Softmax", ICLR 2017.
    """

    initial: float
    rate: float
    floor: float = 0.5
    every: int = 1

    def __post_init__(self) -> None:
        check_nonnegative(self.initial, "initial")
        check_nonnegative(self.rate, "rate")
        check_nonnegative(self.floor, "floor")
        check_count(self.every, "every", minimum=1)
        if self.floor > self.initial:
            raise ValueError(
                f"floor must not be above initial, but floor is {self.floor!r} and initial is {self.initial!r}; "
                "lower the floor, or raise the initial value"
            )

    def __call__(self, step: int) -> float:
        check_count(step, "step")
        held = self.every * (step // self.every)
        return float(max(self.floor, self.initial * math.exp(-self.rate * held)))


@dataclass(frozen=True)
class linear:
    """A straight line from ``initial`` to ``final``, constant from then on.

    ``(1 - f) * initial + f * final`` with ``f = min(step / steps, 1)``.

    Args:
        initial: The value at step 0; zero or more.
        final: The value from step ``steps`` on; zero or more.
        steps: The length of the line; at least 1.

    Raises:
        TypeError, ValueError: If an argument breaks its rule, or the step is not an integer from 0 on.

    Example:
        >>> kl_weight = linear(0.0, 1.0, steps=100)
        >>> [kl_weight(step) for step in (0, 50, 100, 1000)]
        [0.0, 0.5, 1.0, 1.0]
    """

    initial: float
    final: float
    steps: int

    def __post_init__(self) -> None:
        _check_ramp(self.initial, self.final, self.steps)

    def __call__(self, step: int) -> float:
        check_count(step, "step")
        fraction = min(step, self.steps) / self.steps
        return float((1 - fraction) * self.initial + fraction * self.final)


@dataclass(frozen=True)
class cosine:
    """Half a cosine wave from ``initial`` to ``final``, constant from then on.

    ``w * initial + (1 - w) * final`` with ``w = (1 + cos(pi * f)) / 2`` and ``f = min(step / steps, 1)``.

    Args:
        initial: The value at step 0; zero or more.
        final: The value from step ``steps`` on; zero or more.
        steps: The length of the half wave; at least 1.

    Raises:
        TypeError, ValueError: If an argument breaks its rule, or the step is not an integer from 0 on.

    Example:
        >>> temperature = cosine(1.0, 0.5, steps=100)
        >>> [temperature(step) for step in (0, 50, 100, 1000)]
        [1.0, 0.75, 0.5, 0.5]
    """

    initial: float
    final: float
    steps: int

    def __post_init__(self) -> None:
        _check_ramp(self.initial, self.final, self.steps)

    def __call__(self, step: int) -> float:
        check_count(step, "step")
        weight = (1 + math.cos(math.pi * min(step, self.steps) / self.steps)) / 2
        return float(weight * self.initial + (1 - weight) * self.final)


@dataclass(frozen=True)
class join:
    """Schedules one after the other; each sees the steps since its own beginning.

    Args:
        schedules: The schedules in their order; at least one.
        boundaries: The steps at which the second, third, ... begin: one fewer than the schedules, positive and
            increasing.

    Raises:
        TypeError, ValueError: If an argument breaks its rule, or the step is not an integer from 0 on.

    Example:
        >>> warm_up = join([constant(1.0), linear(1.0, 0.5, steps=100)], boundaries=[1000])
        >>> [warm_up(step) for step in (0, 999, 1000, 1050, 5000)]
        [1.0, 1.0, 1.0, 0.75, 0.5]
    """

    schedules: Sequence[Schedule]
    boundaries: Sequence[int]

    def __post_init__(self) -> None:
        schedules, boundaries = tuple(self.schedules), tuple(self.boundaries)
        if not schedules:
            raise ValueError(
                "schedules must hold at least one schedule, but it is empty; use constant(value) for one value"
            )
        for position, schedule in enumerate(schedules):
            if not callable(schedule):
                raise TypeError(
                    f"schedules[{position}] must be a function of the step, but it is {schedule!r}; "
                    "wrap a number in constant(value)"
                )
        if len(boundaries) != len(schedules) - 1:
            raise ValueError(
                f"boundaries must be one fewer than the schedules, but there are {len(boundaries)} boundaries and "
                f"{len(schedules)} schedules; give the step at which each schedule but the first begins"
            )
        for position, boundary in enumerate(boundaries):
            check_count(boundary, f"boundaries[{position}]", minimum=1)
        if any(later <= earlier for earlier, later in pairwise(boundaries)):
            raise ValueError(
                f"boundaries must increase, but they are {list(boundaries)}; sort them together with the schedules"
            )
        object.__setattr__(self, "schedules", schedules)
        object.__setattr__(self, "boundaries", boundaries)

    def __call__(self, step: int) -> float:
        check_count(step, "step")
        begins = (0, *self.boundaries)
        current = bisect_right(begins, step) - 1
        return float(self.schedules[current](step - begins[current]))


def _check_ramp(initial: float, final: float, steps: int) -> None:
    check_nonnegative(initial, "initial")
    check_nonnegative(final, "final")
    check_count(steps, "steps", minimum=1)
