"""Semi-supervised classification: ten labels a class, and many images without one that an autoencoder learns from."""

from __future__ import annotations

__all__: list[str] = []
