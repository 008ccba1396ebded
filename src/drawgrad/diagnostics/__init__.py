"""Instruments: how good is an estimator's gradient on my cost, and is my training run healthy?"""

from __future__ import annotations

from drawgrad.diagnostics.comparison import compare
from drawgrad.diagnostics.monitor import Monitor, PitfallWarning, Writer
from drawgrad.diagnostics.recommendation import Ranked, Recommendation, candidates, recommend
from drawgrad.diagnostics.report import Estimate, Quality, Report, Verdict

__all__ = [
    "Estimate",
    "Monitor",
    "PitfallWarning",
    "Quality",
    "Ranked",
    "Recommendation",
    "Report",
    "Verdict",
    "Writer",
    "candidates",
    "compare",
    "recommend",
]
