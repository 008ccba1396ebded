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
from drawgrad.logic.cp_sat import CpSat
from drawgrad.logic.domains import Draw, HardDomains, Hardening, Mode, SoftDomains, Threshold
from drawgrad.logic.encoding import decode, encode
from drawgrad.logic.exact import all_solutions, log_partition, marginals
from drawgrad.logic.problem import Problem
from drawgrad.logic.reading import read_dimacs, read_sudoku, sudoku, write_sudoku
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
from drawgrad.logic.through import PerturbAndMap, PropagationSurrogate, SolverSurrogate, SolverThrough

__all__ = [
    "AllDifferent",
    "Boolean",
    "Cardinality",
    "Clause",
    "Constraint",
    "CpSat",
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
    "PerturbAndMap",
    "Probability",
    "Problem",
    "PropagationSurrogate",
    "Report",
    "Rule",
    "Semiring",
    "SoftDomains",
    "Solutions",
    "Solver",
    "SolverSurrogate",
    "SolverThrough",
    "Status",
    "Table",
    "Threshold",
    "Viterbi",
    "all_solutions",
    "decode",
    "encode",
    "log_partition",
    "marginals",
    "read_dimacs",
    "read_sudoku",
    "sudoku",
    "write_sudoku",
]
