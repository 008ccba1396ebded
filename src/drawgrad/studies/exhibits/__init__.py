"""Exhibits: small problems whose answers are known, and how estimators do on them."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from drawgrad.studies.exhibits.page import ExhibitRecipe

__all__ = ["EXHIBITS", "Exhibit"]


class Exhibit(NamedTuple):
    """One of them.

    Args:
        name: What it is called on the command line.
        text: What it shows, in one line.
        recipe: Makes what measures it and lays it out, from the number of independent runs, where it has any.
    """

    name: str
    text: str
    recipe: Callable[[int], ExhibitRecipe]


# Their modules load torch, and who lists the exhibits need not wait for it.


def _polynomial(runs: int) -> ExhibitRecipe:
    from drawgrad.studies.exhibits.polynomial import Polynomial

    return Polynomial(runs=runs)


def _coin(runs: int) -> ExhibitRecipe:
    from drawgrad.studies.exhibits.coin import Coin

    return Coin(runs=runs)


def _dial(runs: int) -> ExhibitRecipe:
    from drawgrad.studies.exhibits.dial import Dial

    return Dial()


def _subsets(runs: int) -> ExhibitRecipe:
    from drawgrad.studies.exhibits.k_subset import Subsets

    return Subsets()


def _linear(runs: int) -> ExhibitRecipe:
    from drawgrad.studies.exhibits.linear_reward import LinearReward

    return LinearReward()


EXHIBITS = {
    exhibit.name: exhibit
    for exhibit in (
        Exhibit("polynomial", "128 binary variables with cost |b - t|^p, p = 1.5, 2, 3", _polynomial),
        Exhibit("coin", "one coin with cost (b - t)^2, t = 0.45, 0.49, 0.499", _coin),
        Exhibit("dial", "bias against variance over the temperature", _dial),
        Exhibit("subsets", "3 of 10 vectors: estimators of subsets against the exact gradient", _subsets),
        Exhibit("linear", "eight classes, linear reward: variance against evaluations", _linear),
    )
}
"""By name, the one that takes longest first."""
