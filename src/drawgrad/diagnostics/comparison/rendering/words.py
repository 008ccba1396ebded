"""Sentences about a comparison and a ranking."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from drawgrad._tables import significant
from drawgrad.diagnostics.comparison.quality import Ranked
from drawgrad.diagnostics.comparison.rendering.table import BUDGET

__all__ = ["budget_in_words", "reason"]

TOLD_APART = 3.0
"""Standard errors by which two mean squared errors differ for one to be called smaller."""
HARDLY = 0.95
"""The part of the error of a zero gradient above which another error is hardly less."""


def budget_in_words(budget: float, unit: str) -> str:
    """A budget with its unit, such as ``1 evaluation`` or ``2.5 ms``."""
    words = BUDGET[unit](budget)
    return words if unit == "seconds" else f"{words} evaluation{'' if budget == 1 else 's'}"


def reason(ranking: Sequence[Ranked], budget: str, zero: float) -> str:
    """Why the first one is the first, and what speaks against it, in one sentence.

    Args:
        ranking: best first.
        budget: in words.
        zero: mean squared error of a gradient that is zero.
    """
    best, name = ranking[0].mean_squared_error, ranking[0].quality.name
    found = significant(best.value)
    if len(ranking) == 1:
        said = f"{name} is the only estimator that {budget} pay for; its mean squared error is {found}"
    else:
        second, runner_up = ranking[1].mean_squared_error, ranking[1].quality.name
        said = f"{name} has the smallest mean squared error at {budget}: {found}, against "
        said += f"{significant(second.value)} of {runner_up}"
        if not second.value - best.value > TOLD_APART * math.hypot(best.error, second.error):
            said += ", which the measurement does not tell apart"
    return "; but ".join([said, *_remarks(ranking[0], zero)]) + "."


def _remarks(first: Ranked, zero: float) -> Iterator[str]:
    error = first.mean_squared_error
    if error.value + TOLD_APART * error.error > HARDLY * zero > 0:
        more = "less" if error.value > zero else "hardly more"
        yield f"a gradient of zero has {more}, {significant(zero)}, so the budget is too small"
    if first.quality.verdict == "too few draws" and first.bias_share > 0.5:
        # Most of the error is a difference that gradients explain which were too rare to be drawn.
        yield "its rare gradients may not have been drawn, so its error may be larger, and more draws are needed"
