"""Which configurations of each estimator the contract suite checks."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

from drawgrad.estimators import ESTIMATORS, Estimator

__all__ = ["CASES", "Case"]

Case = tuple[str, Callable[[], Estimator]]

# An estimator that is not named here is checked with its defaults; one that has none must be named.
CONFIGURATIONS: Mapping[str, list[dict[str, object]]] = MappingProxyType(
    {
        "GumbelSoftmax": [{}, {"samples": 3, "tau": 0.5}],
        "STGumbelSoftmax": [{}, {"samples": 3, "tau": 0.5}],
        "StraightThrough": [{}, {"samples": 3}],
    }
)


def _label(name: str, options: dict[str, object]) -> str:
    return f"{name}({', '.join(f'{key}={value}' for key, value in options.items())})"


def _cases() -> list[Case]:
    # A fresh object for each check: some estimators have a state.
    return [
        (_label(name, options), lambda cls=cls, options=options: cls(**options))
        for name, cls in ESTIMATORS.items()
        for options in CONFIGURATIONS.get(name, [{}])
    ]


CASES = _cases()
