"""The family of estimators from pairs of samples that share their noise."""

from __future__ import annotations

from drawgrad.estimators.antithetic.arm import Arm, DisArm
from drawgrad.estimators.antithetic.arsm import Arsm
from drawgrad.estimators.antithetic.categorical_disarm import CategoricalDisArm

__all__ = ["Arm", "Arsm", "CategoricalDisArm", "DisArm"]
