"""Logic: constraint problems whose domains are soft, trained through, or hard, solved exactly."""

from __future__ import annotations

from drawgrad.logic.constraints import (
    AllDifferent,
    Cardinality,
    Clause,
    Constraint,
    Element,
    Equal,
    Function,
    Less,
    Linear,
    NotEqual,
    Rule,
    Table,
)
from drawgrad.logic.domains import Draw, HardDomains, Hardening, Mode, SoftDomains, Threshold
from drawgrad.logic.encoding import encode
from drawgrad.logic.problem import Problem
from drawgrad.logic.semirings import (
    Boolean,
    Goedel,
    Log,
    Lukasiewicz,
    MaxPlus,
    MinPlus,
    Probability,
    Semiring,
    Viterbi,
)
from drawgrad.logic.solvers import HardEngine, Limits, Report, Solutions, Solver, Status

__all__ = [
    "AllDifferent",
    "Boolean",
    "Cardinality",
    "Clause",
    "Constraint",
    "Draw",
    "Element",
    "Equal",
    "Function",
    "Goedel",
    "HardDomains",
    "HardEngine",
    "Hardening",
    "Less",
    "Limits",
    "Linear",
    "Log",
    "Lukasiewicz",
    "MaxPlus",
    "MinPlus",
    "Mode",
    "NotEqual",
    "Probability",
    "Problem",
    "Report",
    "Rule",
    "Semiring",
    "SoftDomains",
    "Solutions",
    "Solver",
    "Status",
    "Table",
    "Threshold",
    "Viterbi",
    "encode",
]
