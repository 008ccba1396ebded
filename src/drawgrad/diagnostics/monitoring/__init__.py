"""Is a training run healthy? What is read from its steps, and the pitfalls that it shows."""

from __future__ import annotations

from drawgrad.diagnostics.monitoring.monitor import Monitor, PitfallWarning, Writer
from drawgrad.diagnostics.monitoring.usage import dead_classes

__all__ = ["Monitor", "PitfallWarning", "Writer", "dead_classes"]
