"""A run of any model: the loop, its checkpoints, its journal, and the folder where all of it lies."""

from __future__ import annotations

__all__: list[str] = []
