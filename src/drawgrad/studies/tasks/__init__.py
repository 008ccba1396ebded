"""What is trained: a folder a task."""

from __future__ import annotations

__all__: list[str] = []
