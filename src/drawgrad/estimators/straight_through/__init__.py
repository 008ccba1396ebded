"""The family of estimators from a hard sample forward, a closed form backward."""

from __future__ import annotations

from drawgrad.estimators.straight_through.cage import Cage
from drawgrad.estimators.straight_through.first_order import (
    GappedStraightThrough,
    SlopeAnnealedStraightThrough,
    StraightThrough,
)
from drawgrad.estimators.straight_through.gumbel_rao import GumbelRao, ReinMaxCV, ReinMaxRao
from drawgrad.estimators.straight_through.second_order import ZGR, Darn, ReinMax

__all__ = [
    "ZGR",
    "Cage",
    "Darn",
    "GappedStraightThrough",
    "GumbelRao",
    "ReinMax",
    "ReinMaxCV",
    "ReinMaxRao",
    "SlopeAnnealedStraightThrough",
    "StraightThrough",
]
