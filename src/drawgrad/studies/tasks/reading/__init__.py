"""Reading handwritten digits: a network, its images, and its training by anything but labels."""

from __future__ import annotations

__all__: list[str] = []
