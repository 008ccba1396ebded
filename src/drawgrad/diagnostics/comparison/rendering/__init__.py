"""Views of what was measured: tables, sentences and a figure. Nothing is measured here."""

from __future__ import annotations

__all__: list[str] = []
