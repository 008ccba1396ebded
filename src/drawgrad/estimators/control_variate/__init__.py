"""The family of estimators from score functions less a differentiable control variate."""

from __future__ import annotations

from drawgrad.estimators.control_variate.double_cv import DoubleCV
from drawgrad.estimators.control_variate.mu_prop import MuProp
from drawgrad.estimators.control_variate.rebar import Rebar
from drawgrad.estimators.control_variate.relax import Relax
from drawgrad.estimators.control_variate.rodeo import Rodeo

__all__ = ["DoubleCV", "MuProp", "Rebar", "Relax", "Rodeo"]
