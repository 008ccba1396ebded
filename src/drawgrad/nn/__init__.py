"""Modules that choose: each one holds a :class:`Choice`, which draws in training and is deterministic in evaluation."""

from __future__ import annotations

from drawgrad.nn.choice import Choice
from drawgrad.nn.hard_concrete_gate import HardConcreteGate
from drawgrad.nn.pruning import prune
from drawgrad.nn.quantizer import Quantized, Quantizer
from drawgrad.nn.temperature import Tempered, set_temperature

__all__ = [
    "Choice",
    "HardConcreteGate",
    "Quantized",
    "Quantizer",
    "Tempered",
    "prune",
    "set_temperature",
]
