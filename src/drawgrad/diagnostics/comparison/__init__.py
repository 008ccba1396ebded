"""Which estimator is good on a cost: measured, with errors, limits and effort, and ranked at a budget."""

from __future__ import annotations

from drawgrad.diagnostics.comparison.measurement import compare
from drawgrad.diagnostics.comparison.quality import Estimate, Quality, Ranked, Verdict
from drawgrad.diagnostics.comparison.recommendation import Recommendation, candidates, recommend
from drawgrad.diagnostics.comparison.report import Report

__all__ = [
    "Estimate",
    "Quality",
    "Ranked",
    "Recommendation",
    "Report",
    "Verdict",
    "candidates",
    "compare",
    "recommend",
]
