"""Modules that choose: each one holds a :class:`Choice`, which draws in training and is deterministic in evaluation."""

from __future__ import annotations

from drawgrad.nn.attention import SparseAttention
from drawgrad.nn.choice import Choice
from drawgrad.nn.conditional import Conditional, Gated
from drawgrad.nn.feature_selector import FeatureSelector
from drawgrad.nn.grouped import ExpertList, FeedForwardExperts, grouped_product
from drawgrad.nn.hard_concrete_gate import HardConcreteGate
from drawgrad.nn.learned_levels import FrozenLevels, LearnedLevels
from drawgrad.nn.mixture import MixtureOfExperts
from drawgrad.nn.operation_mixer import OperationMixer, discretize
from drawgrad.nn.permutation_layer import PermutationLayer
from drawgrad.nn.pruning import prune
from drawgrad.nn.quantizer import Quantized, Quantizer
from drawgrad.nn.router import Router, Routing
from drawgrad.nn.temperature import Tempered, set_temperature
from drawgrad.nn.tokens import Merged, Selected, TokenMerger, TokenSelector

__all__ = [
    "Choice",
    "Conditional",
    "ExpertList",
    "FeatureSelector",
    "FeedForwardExperts",
    "FrozenLevels",
    "Gated",
    "HardConcreteGate",
    "LearnedLevels",
    "Merged",
    "MixtureOfExperts",
    "OperationMixer",
    "PermutationLayer",
    "Quantized",
    "Quantizer",
    "Router",
    "Routing",
    "Selected",
    "SparseAttention",
    "Tempered",
    "TokenMerger",
    "TokenSelector",
    "discretize",
    "grouped_product",
    "prune",
    "set_temperature",
]
