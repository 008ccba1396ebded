"""The family of estimators from sums over chosen states of many variables."""

from __future__ import annotations

from drawgrad.estimators.structured.indecater import IndeCateR
from drawgrad.estimators.structured.rao_blackwell_score import RaoBlackwellScore
from drawgrad.estimators.structured.unordered_set import UnorderedSet

__all__ = ["IndeCateR", "RaoBlackwellScore", "UnorderedSet"]
