"""Instruments: how good is an estimator's gradient on my cost, and is my training run healthy?"""

from __future__ import annotations

from drawgrad.diagnostics.comparison import (
    Estimate,
    Quality,
    Ranked,
    Recommendation,
    Report,
    Verdict,
    candidates,
    compare,
    recommend,
)
from drawgrad.diagnostics.monitoring import Monitor, PitfallWarning, Writer, dead_classes

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
    "dead_classes",
    "recommend",
]
