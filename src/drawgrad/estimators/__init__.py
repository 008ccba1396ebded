"""Estimators of an expectation and its gradient: ``loss = estimator(cost, q)``."""

from __future__ import annotations

from drawgrad.estimators._base import Estimator
from drawgrad.estimators._registry import ESTIMATORS
from drawgrad.estimators.arm import Arm, DisArm
from drawgrad.estimators.baselines import Baseline, MovingAverage, NoBaseline, Nvil
from drawgrad.estimators.control_variate import Rebar, Relax
from drawgrad.estimators.coupled_categorical import CategoricalDisArm
from drawgrad.estimators.exact import Exact
from drawgrad.estimators.indecater import IndeCateR
from drawgrad.estimators.mu_prop import MuProp
from drawgrad.estimators.multi_sample import LeaveOneOut, Vimco
from drawgrad.estimators.pathwise import Pathwise
from drawgrad.estimators.rao_blackwell import GumbelRao, ReinMaxCV, ReinMaxRao
from drawgrad.estimators.relaxed import DecoupledSTGumbelSoftmax, GumbelSoftmax, STGumbelSoftmax
from drawgrad.estimators.score import Reinforce
from drawgrad.estimators.second_order import ZGR, Darn, ReinMax
from drawgrad.estimators.straight_through import GappedStraightThrough, SlopeAnnealedStraightThrough, StraightThrough
from drawgrad.estimators.swap import Arsm
from drawgrad.estimators.without_replacement import RaoBlackwellScore, UnorderedSet

__all__ = [
    "ESTIMATORS",
    "ZGR",
    "Arm",
    "Arsm",
    "Baseline",
    "CategoricalDisArm",
    "Darn",
    "DecoupledSTGumbelSoftmax",
    "DisArm",
    "Estimator",
    "Exact",
    "GappedStraightThrough",
    "GumbelRao",
    "GumbelSoftmax",
    "IndeCateR",
    "LeaveOneOut",
    "MovingAverage",
    "MuProp",
    "NoBaseline",
    "Nvil",
    "Pathwise",
    "RaoBlackwellScore",
    "Rebar",
    "ReinMax",
    "ReinMaxCV",
    "ReinMaxRao",
    "Reinforce",
    "Relax",
    "STGumbelSoftmax",
    "SlopeAnnealedStraightThrough",
    "StraightThrough",
    "UnorderedSet",
    "Vimco",
]
