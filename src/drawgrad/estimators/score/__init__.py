"""The family of estimators from score functions with baselines."""

from __future__ import annotations

from drawgrad.estimators.score.baselines import Baseline, MovingAverage, NoBaseline, Nvil
from drawgrad.estimators.score.leave_one_out import LeaveOneOut
from drawgrad.estimators.score.reinforce import Reinforce
from drawgrad.estimators.score.vimco import Vimco

__all__ = ["Baseline", "LeaveOneOut", "MovingAverage", "NoBaseline", "Nvil", "Reinforce", "Vimco"]
