"""Handwritten Sudoku: a network learns to read digits from the values of blank cells alone."""

from __future__ import annotations

__all__: list[str] = []
