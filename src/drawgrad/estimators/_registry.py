"""The list of all estimators, from which tests, tables and error messages are made."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Literal, TypeVar, cast

from torch.distributions import Bernoulli, Distribution, OneHotCategorical

from drawgrad._independent import innermost

if TYPE_CHECKING:
    from drawgrad.estimators._base import Estimator

__all__ = ["ESTIMATORS", "KINDS", "Kind", "kinds_of", "register", "supporting"]

Kind = Literal["categorical", "binary", "rsample", "log_prob"]

KINDS: Mapping[Kind, str] = MappingProxyType(
    {
        "categorical": "OneHotCategorical",
        "binary": "Bernoulli",
        "rsample": "any distribution with rsample",
        "log_prob": "any distribution with log_prob",
    }
)
"""What an estimator may ask of ``q``, in words."""

_LISTED: dict[str, type[Estimator]] = {}
ESTIMATORS: Mapping[str, type[Estimator]] = MappingProxyType(_LISTED)
"""Every estimator by its name."""

Class = TypeVar("Class", bound=type)


def register(cls: Class) -> Class:
    """Put an estimator on the list: a decorator of its class."""
    _LISTED[cls.__name__] = cast("type[Estimator]", cls)
    return cls


def kinds_of(q: Distribution) -> frozenset[Kind]:
    """What a distribution has to offer."""
    kinds: set[Kind] = set()
    if type(q).log_prob is not Distribution.log_prob:
        kinds.add("log_prob")
    if q.has_rsample:
        kinds.add("rsample")
    q = innermost(q)
    if isinstance(q, OneHotCategorical):
        kinds.add("categorical")
    if isinstance(q, Bernoulli):
        kinds.add("binary")
    return frozenset(kinds)


def supporting(kinds: frozenset[Kind]) -> list[str]:
    """Names of the estimators that take a distribution of these kinds."""
    return sorted(name for name, cls in ESTIMATORS.items() if cls.supports & kinds)
