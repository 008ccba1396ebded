"""Estimators of an expectation and its gradient: ``loss = estimator(cost, q)``."""

from __future__ import annotations

from drawgrad.estimators._base import Estimator
from drawgrad.estimators._registry import ESTIMATORS
from drawgrad.estimators.exact import Exact
from drawgrad.estimators.mu_prop import MuProp
from drawgrad.estimators.pathwise import Pathwise
from drawgrad.estimators.rao_blackwell import GumbelRao, ReinMaxCV, ReinMaxRao
from drawgrad.estimators.relaxed import DecoupledSTGumbelSoftmax, GumbelSoftmax, STGumbelSoftmax
from drawgrad.estimators.second_order import ZGR, Darn, ReinMax
from drawgrad.estimators.straight_through import GappedStraightThrough, SlopeAnnealedStraightThrough, StraightThrough

__all__ = [
    "ESTIMATORS",
    "ZGR",
    "Darn",
    "DecoupledSTGumbelSoftmax",
    "Estimator",
    "Exact",
    "GappedStraightThrough",
    "GumbelRao",
    "GumbelSoftmax",
    "MuProp",
    "Pathwise",
    "ReinMax",
    "ReinMaxCV",
    "ReinMaxRao",
    "STGumbelSoftmax",
    "SlopeAnnealedStraightThrough",
    "StraightThrough",
]
