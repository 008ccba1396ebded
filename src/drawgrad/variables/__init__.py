"""What distributions choose among: one protocol for classes, bits, subsets, and whatever else is registered."""

from __future__ import annotations

from drawgrad.variables.binary import Binary
from drawgrad.variables.countable import Countable
from drawgrad.variables.indexed import Indexed
from drawgrad.variables.joint import Joint, JointCountable
from drawgrad.variables.k_of_classes import KOfClasses
from drawgrad.variables.one_hot import OneHot
from drawgrad.variables.opaque import Opaque, OpaqueScored
from drawgrad.variables.padded_one_hot import PaddedOneHot
from drawgrad.variables.parameters import exact_logits, flattened_logits
from drawgrad.variables.permutation import Permutation
from drawgrad.variables.place import Place, aligned, bound_to_batch, gumbel_noise_like, logistic_noise_like
from drawgrad.variables.ranking import Ranking, number_of_ranking
from drawgrad.variables.registry import Distributions, described, register_variable, variables_of
from drawgrad.variables.relaxable import Relaxable
from drawgrad.variables.subset import Subset
from drawgrad.variables.variable import Index, Scored, Variable

__all__ = [
    "Binary",
    "Countable",
    "Distributions",
    "Index",
    "Indexed",
    "Joint",
    "JointCountable",
    "KOfClasses",
    "OneHot",
    "Opaque",
    "OpaqueScored",
    "PaddedOneHot",
    "Permutation",
    "Place",
    "Ranking",
    "Relaxable",
    "Scored",
    "Subset",
    "Variable",
    "aligned",
    "bound_to_batch",
    "described",
    "exact_logits",
    "flattened_logits",
    "gumbel_noise_like",
    "logistic_noise_like",
    "number_of_ranking",
    "register_variable",
    "variables_of",
]
