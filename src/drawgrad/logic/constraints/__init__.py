"""The constraints: each a rule among some variables, with a soft propagator and its twin in the hard engine."""

from __future__ import annotations

from drawgrad.logic.constraints.all_different import AllDifferent
from drawgrad.logic.constraints.base import Constraint, Rule
from drawgrad.logic.constraints.clause import Clause
from drawgrad.logic.constraints.element import Element
from drawgrad.logic.constraints.pairs import Equal, Less, NotEqual
from drawgrad.logic.constraints.sums import Cardinality, Linear
from drawgrad.logic.constraints.tables import Function, Table

__all__ = [
    "AllDifferent",
    "Cardinality",
    "Clause",
    "Constraint",
    "Element",
    "Equal",
    "Function",
    "Less",
    "Linear",
    "NotEqual",
    "Rule",
    "Table",
]
