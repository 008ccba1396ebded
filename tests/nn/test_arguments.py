"""A wrong argument of a constructor is refused in words that name it, whatever is wrong with it."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import nn

import drawgrad.nn as dn
from tests.nn.test_contract import BASES

MADE: dict[str, tuple[Any, ...]] = {
    "Choice": (),
    "Conditional": (nn.Linear(5, 1), nn.Linear(5, 5)),
    "ExpertList": ([nn.Linear(2, 2)],),
    "FeatureSelector": (5, 2),
    "FeedForwardExperts": (2, 8, 8),
    "HardConcreteGate": ((5,),),
    "LearnedLevels": ((4, 6), 4),
    "MixtureOfExperts": (dn.Router(4, 1), [nn.Linear(4, 4)]),
    "OperationMixer": ([nn.Identity(), nn.Identity()],),
    "PermutationLayer": (4,),
    "Quantizer": (4, 6),
    "Router": (4, 4, 2),
    "SparseAttention": (4, 2, 2),
    "TokenMerger": (4, 3),
    "TokenSelector": (4, 3),
}
"""How each module is made."""
COUNTS = {"codes", "experts", "features", "groups", "heads", "hidden", "inputs", "k", "n", "shape", "width"}
"""Arguments that count something, wherever they occur."""


class Raw(nn.Module):
    """Looks at nothing, and fails where Python does."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.weight = torch.empty(width)


def words(make: Callable[..., Any], args: tuple[Any, ...], name: str, value: object) -> str | None:
    """What a wrong argument is told, if it is told of it."""
    given = inspect.signature(make).bind(*args)
    # Functions that want fewer arguments where one is given may say so first.
    given.arguments[name] = value
    try:
        make(*given.args, **given.kwargs)
    except (TypeError, ValueError) as error:
        stem = name.removesuffix("s")
        said = re.search(rf"\b{stem}\w*\b.* (must|needs)\b", str(error))
        return str(error) if said and "object has no" not in str(error) else None
    return None


def arguments(name: str) -> list[str]:
    return [p for p in inspect.signature(getattr(dn, name)).parameters if p not in {"device", "dtype"}]


def public() -> set[str]:
    found = {name for name in dn.__all__ if inspect.isclass(getattr(dn, name))}
    return {name for name in found if issubclass(getattr(dn, name), nn.Module)} - BASES


def test_every_module_is_made() -> None:
    assert set(MADE) == public()
    assert all(isinstance(getattr(dn, name)(*args), nn.Module) for name, args in MADE.items())


@pytest.mark.parametrize(("name", "argument"), [(name, each) for name in MADE for each in arguments(name)])
def test_another_type_is_refused(name: str, argument: str) -> None:
    assert words(getattr(dn, name), MADE[name], argument, object())


@pytest.mark.parametrize(
    ("name", "argument"), [(name, each) for name in MADE for each in arguments(name) if each in COUNTS]
)
@pytest.mark.parametrize("value", [0, -1, True, 2.5], ids=str)
def test_no_count_is_refused(name: str, argument: str, value: object) -> None:
    if (name, argument) != ("MixtureOfExperts", "experts"):
        assert words(getattr(dn, name), MADE[name], argument, value)


def test_an_error_of_python_s_own_is_told_from_words() -> None:
    assert words(Raw, (4,), "width", object()) is None
    assert words(Raw, (4,), "width", 5) is None


@pytest.mark.parametrize(
    ("name", "argument", "value"),
    [
        ("Choice", "estimator", 0),
        ("FeatureSelector", "estimator", 0),
        ("HardConcreteGate", "group", 2.5),
        ("HardConcreteGate", "group", None),
        ("HardConcreteGate", "shape", (3, "4")),
        ("HardConcreteGate", "stretch", (-0.1,)),
        ("HardConcreteGate", "tau", None),
        ("LearnedLevels", "bits", (2, True)),
        ("LearnedLevels", "dim", True),
        ("LearnedLevels", "eval_mode", "best"),  # Of one number of bits, between which nothing is chosen.
        ("MixtureOfExperts", "experts", [nn.Linear]),
        ("OperationMixer", "costs", 2.0),
        ("OperationMixer", "operations", [torch.relu]),
        ("PermutationLayer", "dim", 0.0),
        ("PermutationLayer", "tau", None),
        ("Quantizer", "eval_mode", "best"),  # Of the nearest code, which is not drawn.
        ("TokenMerger", "sharpness", -1.0),
        ("TokenSelector", "estimator", 0),
    ],
)
def test_what_would_fail_later_is_refused(name: str, argument: str, value: object) -> None:
    assert words(getattr(dn, name), MADE[name], argument, value)


def test_a_width_is_a_shape() -> None:
    assert dn.HardConcreteGate(5).shape == dn.HardConcreteGate((5,)).shape == (5,)
    assert dn.LearnedLevels(6).shape == (6,)


@pytest.mark.parametrize(
    "module", [dn.Router(4, 2), dn.TokenSelector(4, 1), dn.TokenMerger(4, 2), dn.SparseAttention(4, 1, 1)]
)
def test_whole_numbers_are_refused(module: nn.Module) -> None:
    with pytest.raises(TypeError, match="x must be of a floating dtype"):
        module(torch.ones(2, 3, 4, dtype=torch.long))
