"""Tables of the estimators, from what each one declares of itself."""

from __future__ import annotations

import inspect
import re

import torch
from torch.distributions import Categorical, Normal

from drawgrad._tables import markdown_table
from drawgrad.distributions import (
    GibbsPermutation,
    GumbelSinkhorn,
    HardConcrete,
    KSubset,
    MixtureOfNormals,
    PlackettLuce,
    RelaxedMultinomial,
)
from drawgrad.estimators import ESTIMATORS, Estimator
from drawgrad.variables import Binary, Countable, OneHot, Relaxable, Scored, Subset, Variable

__all__ = ["claims", "ideas", "structures"]

CLASSES, VARIABLES = 10, 3
"""The problem whose evaluations are counted, where the estimator takes classes; binary variables where it does not."""
TAKES: dict[type, str] = {
    Countable: "any whose states can be counted",
    Relaxable: "categorical, Bernoulli",
    OneHot: "categorical",
    Binary: "Bernoulli",
    Subset: "k-subsets",
    Scored: "any with `log_prob`",
    Variable: "any with `rsample`",
}


def claims() -> str:
    """Markdown: what each estimator takes, whether it is unbiased, and what it asks of the cost."""
    heads = ("estimator", "takes `q`", "unbiased", "cost needs a gradient", "evaluations of the cost")
    rows = [
        (
            f"`{cls.__name__}`",
            TAKES[cls.takes],
            _word(cls.unbiased),
            _word(cls.needs_cost_gradient),
            _evaluations(cls),
        )
        for cls in _in_order()
    ]
    note = (
        f"<sub>Evaluations of one call with default options, for {VARIABLES} variables with {CLASSES} classes (binary "
        "ones where no others are taken).</sub>"
    )
    return f"\n{markdown_table(heads, rows, '<')}\n\n{note}\n"


def ideas() -> str:
    """Markdown: the idea of each estimator and where it comes from, from the docstrings."""
    rows = [(f"`{cls.__name__}`", _idea(cls), _references(cls)) for cls in _in_order()]
    return f"\n{markdown_table(('estimator', 'idea', 'from'), rows, '<')}\n"


def structures() -> str:
    """Markdown: which estimators take which structure."""
    zeros = torch.zeros(3)
    kinds = {
        "subsets, `KSubset`": KSubset(zeros, 2),
        "rankings, `PlackettLuce`": PlackettLuce(zeros, 2),
        "permutations, `GibbsPermutation`": GibbsPermutation(torch.zeros(3, 3)),
        "permutations, `GumbelSinkhorn`": GumbelSinkhorn(1.0, torch.zeros(3, 3)),
        "gates, `HardConcrete`": HardConcrete(1.0, zeros),
        "mixtures, `MixtureOfNormals`": MixtureOfNormals(Categorical(logits=zeros), Normal(zeros, 1.0)),
        "counts, `RelaxedMultinomial`": RelaxedMultinomial(5, 1.0, logits=zeros),
    }
    rows = []
    for words, q in kinds.items():
        fitting = [cls for cls in _in_order() if cls().obstacle(q) is None]
        names = (
            ", ".join(f"`{cls.__name__}`" for cls in fitting if cls.unbiased is unbiased) for unbiased in (True, False)
        )
        rows.append((words, *names))
    return f"\n{markdown_table(('structure', 'without bias', 'with a bias'), rows, '<')}\n"


def _in_order() -> list[type[Estimator]]:
    """Those without bias first, and among them those that can do with the values of the cost."""
    return sorted(ESTIMATORS.values(), key=lambda cls: (not cls.unbiased, cls.needs_cost_gradient, cls.__name__))


def _evaluations(cls: type[Estimator]) -> str:
    return str(cls().evaluations(2 if cls.takes is Binary else CLASSES, VARIABLES))


def _idea(cls: type[Estimator]) -> str:
    first = (inspect.getdoc(cls) or "").split("\n\n")[0]
    plain = re.sub(r":\w+:`~?([\w.]+)`", r"`\1`", " ".join(first.split())).replace("``", "`")
    # What it is called in the literature stays where it says more than the name of the class.
    name, colon, idea = plain.partition(": ")
    return f"**{name}.** {idea[0].upper()}{idea[1:]}" if colon else plain


def _references(cls: type[Estimator]) -> str:
    """Authors and year of each reference: "Liu et al. 2023"."""
    text = (inspect.getdoc(cls) or "").partition("References:")[2]
    found = []
    for entry in _entries(text):
        names = entry.partition(". ")[0].split(", ")
        year = re.findall(r"\b(?:19|20)\d\d\b", entry)[-1]
        whom = names[0] if len(names) == 1 else f"{names[0]} & {names[1]}" if len(names) == 2 else f"{names[0]} et al."
        found.append(f"{whom} {year}")
    return "; ".join(found)


def _entries(text: str) -> list[str]:
    """References, one for each that ends with a year and a full stop."""
    joined = " ".join(text.split())
    return [entry.strip() for entry in re.findall(r".*?\b(?:19|20)\d\d\.(?= |$)", joined)]


def _word(claim: bool) -> str:
    return "yes" if claim else "no"
