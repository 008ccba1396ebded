"""The fused operations and their twins. Private: use :mod:`drawgrad.functional`."""

from __future__ import annotations

from drawgrad.kernels import autograd, ops

__all__ = ["autograd", "ops"]
