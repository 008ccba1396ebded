"""Sums of handwritten numbers: a network learns to read digits from sums alone."""

from __future__ import annotations

__all__: list[str] = []
