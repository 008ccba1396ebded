"""Instruments: how good is an estimator's gradient on my cost, and is my training run healthy?"""

from __future__ import annotations

from drawgrad.diagnostics.compare import compare
from drawgrad.diagnostics.recommend import Ranked, Recommendation, candidates, recommend
from drawgrad.diagnostics.report import Estimate, Quality, Report, Verdict

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
