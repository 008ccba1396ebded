"""Structured output prediction: the lower half of a digit from its upper half, through layers of discrete variables."""

from __future__ import annotations

__all__: list[str] = []
