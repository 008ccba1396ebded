"""The family of estimators for structure: sums over chosen states of many variables, and gradients of subsets."""

from __future__ import annotations

from drawgrad.estimators.structured.indecater import IndeCateR
from drawgrad.estimators.structured.perturb_and_map import AdaptiveStep, Aimle, PerturbAndMap
from drawgrad.estimators.structured.rao_blackwell_score import RaoBlackwellScore
from drawgrad.estimators.structured.simple import Simple, STGumbelTopK
from drawgrad.estimators.structured.unordered_set import UnorderedSet

__all__ = [
    "AdaptiveStep",
    "Aimle",
    "IndeCateR",
    "PerturbAndMap",
    "RaoBlackwellScore",
    "STGumbelTopK",
    "Simple",
    "UnorderedSet",
]
