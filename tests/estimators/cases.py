"""Which configurations of each estimator the contract suite checks."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from copy import deepcopy
from types import MappingProxyType

from torch import nn

from drawgrad.estimators import ESTIMATORS, Estimator, MovingAverage, Nvil
from tests.estimators.networks import MeanFeature, flatter

__all__ = ["CASES", "CONFIGURATIONS", "Case"]

Case = tuple[str, Callable[[], Estimator]]

# An estimator that is not named here is checked with its defaults; one that has none must be named.
CONFIGURATIONS: Mapping[str, list[dict[str, object]]] = MappingProxyType(
    {
        "Cage": [{}, {"greedy": False}],
        "CategoricalDisArm": [{}, {"tree": "stick", "samples": 2}],
        "Darn": [{}, {"point": "uniform"}],
        "DisArm": [{}, {"samples": 3}],
        "DoubleCV": [{"samples": 3, "alpha": 0.5}],
        "GumbelRao": [{}, {"samples": 2, "conditional_samples": 1}],
        "GumbelSoftmax": [{}, {"samples": 3, "tau": 0.5}],
        "IndeCateR": [{"samples": 2}],
        "LeaveOneOut": [{"samples": 3}],
        "RaoBlackwellScore": [{}, {"top": 2, "samples": 2, "centered": True}],
        "MuProp": [{}, {"samples": 3}],
        "Rebar": [{}, {"samples": 2}],
        "ReinMaxCV": [{}, {"control": "relaxed"}],
        "ReDGE": [{"steps": 1}, {"steps": 2, "last": 0.3, "samples": 2}],
        "Reinforce": [
            {},
            {"baseline": MovingAverage(), "samples": 3},
            {"baseline": Nvil(MeanFeature())},
            {"antithetic": True, "samples": 2},
            {"proposal": flatter},
        ],
        "Relax": [{}, {"samples": 2, "relaxed_cost": True}],
        "Rodeo": [{"hidden": 2, "alpha": 0.3, "beta": 0.3}],
        "STGumbelSoftmax": [{}, {"samples": 3, "tau": 0.5}],
        "StraightThrough": [{}, {"samples": 3}],
        "UnorderedSet": [{}, {"samples": 3}],
    }
)


def _label(name: str, options: dict[str, object]) -> str:
    return f"{name}({', '.join(f'{key}={_word(value)}' for key, value in options.items())})"


def _word(value: object) -> object:
    return type(value).__name__ if isinstance(value, nn.Module) else getattr(value, "__name__", value)


def _cases() -> list[Case]:
    # A fresh object for each check: some estimators have a state.
    return [
        (_label(name, options), lambda cls=cls, options=options: cls(**deepcopy(options)))
        for name, cls in ESTIMATORS.items()
        for options in CONFIGURATIONS.get(name, [{}])
    ]


CASES = _cases()
