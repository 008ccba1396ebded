"""Estimators of an expectation and its gradient: ``loss = estimator(cost, q)``."""

from __future__ import annotations

from drawgrad.estimators._base import Estimator
from drawgrad.estimators._registry import ESTIMATORS
from drawgrad.estimators.exact import Exact
from drawgrad.estimators.relaxed import GumbelSoftmax, STGumbelSoftmax
from drawgrad.estimators.straight_through import StraightThrough

__all__ = [
    "ESTIMATORS",
    "Estimator",
    "Exact",
    "GumbelSoftmax",
    "STGumbelSoftmax",
    "StraightThrough",
]
