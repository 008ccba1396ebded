"""The list of all estimators, from which tests, tables and error messages are made."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

__all__ = ["register"]

LISTED: dict[str, type[Any]] = {}
"""The classes by their names; ``ESTIMATORS`` is the public view of it."""

Class = TypeVar("Class", bound=type[Any])


def register(cls: Class) -> Class:
    """Put an estimator on the list: a decorator of its class, all of whose options have defaults.

    Whoever is on the list takes part in ``ESTIMATORS``, in error messages that name what fits, and in ``recommend``.

    Args:
        cls: the class; its name is its key.

    Returns:
        The class.

    Raises:
        ValueError: if another class has this name.

    Example:
        >>> from drawgrad.estimators import ESTIMATORS, ReinMax
        >>> register(ReinMax) is ESTIMATORS["ReinMax"]
        True
    """
    other = LISTED.setdefault(cls.__name__, cls)
    if (other.__module__, other.__qualname__) != (cls.__module__, cls.__qualname__):
        raise ValueError(
            f"the name of an estimator must be its own, but {cls.__name__} is taken by {other.__module__}; "
            "give the class another name"
        )
    LISTED[cls.__name__] = cls
    return cls


def names(chosen: Callable[[type[Any]], bool]) -> list[str]:
    """The names of the listed classes that are chosen, in order."""
    return sorted(name for name, cls in LISTED.items() if chosen(cls))
