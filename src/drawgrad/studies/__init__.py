"""Experiments on real data: loaders, models, one training loop, and what is measured afterwards.

Third-party packages of the `study` extra are imported from here up only, and inside functions.
"""

from __future__ import annotations

__all__: list[str] = []
