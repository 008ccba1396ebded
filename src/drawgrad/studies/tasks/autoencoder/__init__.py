"""A variational autoencoder with a code of discrete or normal variables, on real images."""

from __future__ import annotations

__all__: list[str] = []
