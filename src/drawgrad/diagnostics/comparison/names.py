"""Short names of estimators: the class, and the options that differ from its defaults."""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from typing import Any

from torch import Tensor, nn

from drawgrad.estimators import Estimator

__all__ = ["name_of", "named"]


def name_of(estimator: Estimator) -> str:
    """A name such as ``STGumbelSoftmax(tau=0.5)``.

    A temperature is always told, other options if they are not the default.

    Example:
        >>> from drawgrad.estimators import ReinMax
        >>> name_of(ReinMax(samples=4))
        'ReinMax(samples=4, tau=1)'
    """
    usual = _by_default(type(estimator))
    options = []
    for option in inspect.signature(type(estimator)).parameters:
        value = getattr(estimator, option, None)
        if option == estimator.temperature or not _alike(value, getattr(usual, option, None)):
            options.append(f"{option}={_short(value)}")
    return f"{type(estimator).__name__}({', '.join(options)})" if options else type(estimator).__name__


def named(estimators: Sequence[Estimator] | Mapping[str, Estimator]) -> dict[str, Estimator]:
    """Estimators by name.

    Raises:
        TypeError: if they are neither listed nor named, or if something is no estimator.
        ValueError: if there is none, or if two have one name.
    """
    if isinstance(estimators, Estimator) or not isinstance(estimators, Mapping | Sequence):
        raise TypeError(
            "estimators must be a list of Estimator objects, or a dict of them with their names, but it is "
            f"{estimators!r}; write [ReinMax()], also for a single one"
        )
    if not estimators:
        raise ValueError("estimators must hold at least one, but it is empty; list those to compare")
    if isinstance(estimators, Mapping):
        for key, estimator in estimators.items():
            if not isinstance(key, str):
                raise TypeError(f"estimators must have names that are strings, but one is {key!r}; write {str(key)!r}")
            _check(estimator)
        return dict(estimators)
    found: dict[str, Estimator] = {}
    for estimator in estimators:
        _check(estimator)
        name = name_of(estimator)
        if name in found:
            raise ValueError(
                f"estimators must have different names, but two are called {name}; give a dict with names of your own"
            )
        found[name] = estimator
    return found


def _check(estimator: Estimator) -> None:
    if not isinstance(estimator, Estimator):
        raise TypeError(
            f"estimators must be Estimator objects such as ReinMax(), but one is {estimator!r}; make one of a class of "
            "drawgrad.estimators"
        )


def _by_default(cls: type[Estimator]) -> Estimator | None:
    try:
        return cls()
    except TypeError:
        return None


def _alike(value: Any, usual: Any) -> bool:
    if isinstance(value, nn.Module):
        return type(value) is type(usual)
    if isinstance(value, Tensor) and isinstance(usual, Tensor):
        return value.shape == usual.shape and bool((value == usual).all())
    return value is usual or (not isinstance(value, Tensor) and bool(value == usual))


def _short(value: Any) -> str:
    if isinstance(value, Tensor):
        return f"{value.detach().item():.3g}" if value.numel() == 1 else f"<{'x'.join(map(str, value.shape))}>"
    if isinstance(value, float):
        return f"{value:.3g}"
    return type(value).__name__ if isinstance(value, nn.Module) else str(value)
