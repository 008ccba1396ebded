"""Estimators of an expectation and its gradient: ``loss = estimator(cost, q)``."""

from __future__ import annotations

from drawgrad.estimators.antithetic import Arm, Arsm, CategoricalDisArm, DisArm
from drawgrad.estimators.base import ESTIMATORS, Estimator, SampleEstimator, StatefulEstimator
from drawgrad.estimators.control_variate import DoubleCV, MuProp, Rebar, Relax, Rodeo
from drawgrad.estimators.cost import Cost, flatten_batch
from drawgrad.estimators.exact import Exact
from drawgrad.estimators.loss import (
    excess,
    finite,
    first_order,
    gradient_only,
    no_second,
    score_loss,
    scored,
    spread,
    sum_variables,
    with_gradient,
)
from drawgrad.estimators.pathwise import Pathwise
from drawgrad.estimators.registry import register
from drawgrad.estimators.relaxed import DecoupledSTGumbelSoftmax, GumbelSoftmax, ReDGE, STGumbelSoftmax
from drawgrad.estimators.score import Baseline, LeaveOneOut, MovingAverage, NoBaseline, Nvil, Reinforce, Vimco
from drawgrad.estimators.straight_through import (
    ZGR,
    Cage,
    Darn,
    GappedStraightThrough,
    GumbelRao,
    ReinMax,
    ReinMaxCV,
    ReinMaxRao,
    SlopeAnnealedStraightThrough,
    StraightThrough,
)
from drawgrad.estimators.structured import (
    AdaptiveStep,
    Aimle,
    IndeCateR,
    PerturbAndMap,
    RaoBlackwellScore,
    Simple,
    STGumbelTopK,
    UnorderedSet,
)
from drawgrad.estimators.surrogate import (
    ReparameterizedEstimator,
    StraightThroughEstimator,
    SurrogateEstimator,
)

__all__ = [
    "ESTIMATORS",
    "ZGR",
    "AdaptiveStep",
    "Aimle",
    "Arm",
    "Arsm",
    "Baseline",
    "Cage",
    "CategoricalDisArm",
    "Cost",
    "Darn",
    "DecoupledSTGumbelSoftmax",
    "DisArm",
    "DoubleCV",
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
    "PerturbAndMap",
    "RaoBlackwellScore",
    "ReDGE",
    "Rebar",
    "ReinMax",
    "ReinMaxCV",
    "ReinMaxRao",
    "Reinforce",
    "Relax",
    "ReparameterizedEstimator",
    "Rodeo",
    "STGumbelSoftmax",
    "STGumbelTopK",
    "SampleEstimator",
    "Simple",
    "SlopeAnnealedStraightThrough",
    "StatefulEstimator",
    "StraightThrough",
    "StraightThroughEstimator",
    "SurrogateEstimator",
    "UnorderedSet",
    "Vimco",
    "excess",
    "finite",
    "first_order",
    "flatten_batch",
    "gradient_only",
    "no_second",
    "register",
    "score_loss",
    "scored",
    "spread",
    "sum_variables",
    "with_gradient",
]
