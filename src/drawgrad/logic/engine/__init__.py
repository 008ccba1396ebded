"""The hard engine: propagation of bitmasks and depth-first search, compiled by Numba when it is first used."""

from __future__ import annotations

__all__: list[str] = []
