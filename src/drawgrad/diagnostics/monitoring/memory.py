"""What a monitor remembers of one variable between its looks."""

from __future__ import annotations

import statistics
from collections import deque

from drawgrad.diagnostics.monitoring.usage import Usage

__all__ = ["Memory"]

WINDOW = 5
"""Looks whose median is compared, so that one spike is no explosion."""


class Memory:
    """Of one variable: for how many steps it has shown a symptom, which classes it used, how its gradient grew."""

    def __init__(self) -> None:
        self.usage = Usage()
        self.awaited = 0
        self._rows: dict[str, tuple[int, int]] = {}
        self._recent: deque[tuple[float, float, float]] = deque(maxlen=WINDOW)
        self._first: list[float] | None = None

    def steps_in_a_row(self, symptom: str, seen: bool, step: int) -> int:
        """How many steps have shown a symptom, this one included.

        Several looks at one step, as at the parts of a batch, are one step, and one of them that is healthy is enough.
        """
        last, count = self._rows.get(symptom, (None, 0))
        if last != step:
            count += 1
        self._rows[symptom] = (step, count if seen else 0)
        return self._rows[symptom][1]

    def growth(self, peak: float, spread: float, tau: float) -> dict[str, float]:
        """How the gradient compares with that of the first looks; empty while these are being taken."""
        self._recent.append((peak, spread, tau))
        if len(self._recent) < WINDOW:
            return {}
        now = [statistics.median(values) for values in zip(*self._recent, strict=True)]
        self._first = self._first or now
        if not all(value > 0 for value in (*self._first, *now)):
            return {}
        return {
            "peak_growth": now[0] / self._first[0],
            "spread_fall": self._first[1] / now[1],
            "tau_fall": self._first[2] / now[2],
        }
