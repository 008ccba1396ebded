"""Pyro: distributions of this package at its sites, models relaxed in inference only, estimators as an ELBO."""

from __future__ import annotations

from drawgrad.integrations.pyro.elbo import TraceEstimator_ELBO
from drawgrad.integrations.pyro.relaxation import pyro_distribution, relax

__all__ = ["TraceEstimator_ELBO", "pyro_distribution", "relax"]
