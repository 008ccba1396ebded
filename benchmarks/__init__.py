"""Measurements of drawgrad, one script per question: ``python -m benchmarks.<name>`` writes ``results/<name>.json``."""

from __future__ import annotations

from pathlib import Path

__all__ = ["RESULTS", "ROOT"]

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "results"
