"""The family of estimators from the cost of a relaxed sample, or its gradient at a hard one."""

from __future__ import annotations

from drawgrad.estimators.relaxed.gumbel_softmax import DecoupledSTGumbelSoftmax, GumbelSoftmax, STGumbelSoftmax
from drawgrad.estimators.relaxed.redge import ReDGE

__all__ = ["DecoupledSTGumbelSoftmax", "GumbelSoftmax", "ReDGE", "STGumbelSoftmax"]
