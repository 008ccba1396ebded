"""What the bridges to training frameworks share: attributes that follow a schedule, and choices that are watched."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from drawgrad.diagnostics import Monitor
from drawgrad.estimators import Estimator
from drawgrad.schedules import Schedule

__all__ = ["CHOICES", "check_schedules", "look", "set_attribute"]

CHOICES = "choices"
"""The attribute of a module in which it leaves what a monitor is to look at."""
SEEN = ("q", "z", "tau", "kl", "name", "variables")
"""What may be in it: arguments of ``Monitor.observe``."""


def check_schedules(schedules: Mapping[str, Schedule]) -> None:
    """Refuse anything but schedules by the names of attributes."""
    if not isinstance(schedules, Mapping) or not all(isinstance(name, str) for name in schedules):
        raise TypeError(
            f"schedules must be a dict of schedules by the name of an attribute, but it is {schedules!r}; give "
            '{"tau": exponential(1.0, rate=1e-4)}, say'
        )
    for name, schedule in schedules.items():
        if not callable(schedule):
            raise TypeError(
                f"schedules[{name!r}] must be a function of the step, but it is {schedule!r}; wrap a number in "
                "constant(value)"
            )


def set_attribute(module: Any, path: str, value: float) -> None:
    """Set what a dotted name below a module says: a number, a tensor in place, or the temperature of an estimator."""
    *owners, name = path.split(".")
    owner = module
    for part in owners:
        owner = _attribute(owner, part, path, module)
    current = _attribute(owner, name, path, module)
    if isinstance(current, Tensor):
        with torch.no_grad():
            current.fill_(value)
    else:
        setattr(owner, name, current.at(value) if isinstance(current, Estimator) else value)


def _attribute(owner: Any, name: str, path: str, module: Any) -> Any:
    if not hasattr(owner, name):
        raise AttributeError(
            f"{type(module).__name__} has no {path!r} that a schedule could set: {type(owner).__name__} has no "
            f"attribute {name!r}; name an attribute that it has from the beginning"
        )
    return getattr(owner, name)


def look(monitor: Monitor, module: Any, step: int, loss: Tensor | None) -> None:
    """Show a monitor what a module has left in its attribute ``choices``, and take it from there."""
    choices = getattr(module, CHOICES, None)
    if choices is None:
        return
    if not isinstance(choices, Mapping) or not choices.keys() <= set(SEEN):
        raise TypeError(
            f"{type(module).__name__}.{CHOICES} must be a dict with some of {', '.join(SEEN)}, but it is "
            f"{choices!r}; set it in each training step, to {{'q': q, 'tau': tau}}, say"
        )
    # What is not taken away would keep the graph of the step alive.
    setattr(module, CHOICES, None)
    monitor.observe(step, loss=loss, **choices)
