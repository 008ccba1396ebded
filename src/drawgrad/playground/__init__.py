"""A page to play with: temperature, logits and seed of a draw, and what estimators make of it."""

from __future__ import annotations

from drawgrad.playground.server import PAGE, page_server

__all__ = ["PAGE", "page_server"]
