"""The list of all estimators, from which tests, tables and error messages are made."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, TypeVar, cast

from torch.distributions import Distribution

if TYPE_CHECKING:
    from drawgrad.estimators._base import Estimator

__all__ = ["ESTIMATORS", "register", "supporting"]

_LISTED: dict[str, type[Estimator]] = {}
ESTIMATORS: Mapping[str, type[Estimator]] = MappingProxyType(_LISTED)
"""Every estimator by its name."""

Class = TypeVar("Class", bound=type)


def register(cls: Class) -> Class:
    """Put an estimator on the list: a decorator of its class, all of whose options have defaults."""
    _LISTED[cls.__name__] = cast("type[Estimator]", cls)
    return cls


def supporting(q: Distribution) -> list[str]:
    """Names of the estimators that take a distribution."""
    return sorted(name for name, cls in ESTIMATORS.items() if cls().obstacle(q) is None)
