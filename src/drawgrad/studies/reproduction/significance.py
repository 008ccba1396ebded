"""Whether a difference is more than chance: standard errors, paired tests, and the correction for their number."""

from __future__ import annotations

import math
import statistics

__all__ = ["error_bar", "holm", "p_of_no_difference", "standard_error", "words_of"]

LEVEL = 0.05
"""Probability that any claim is called true or false by chance."""


def words_of(gain: float, p: float | None) -> str:
    """What is to be said of a claim, at a level of 5 % for all claims together.

    Args:
        gain: By how much the better one is better.
        p: Corrected for the number of claims; None with one seed.
    """
    if p is None:
        return "one seed"
    if p >= LEVEL:
        return "undecided"
    return "holds" if gain > 0 else "the reverse"


def standard_error(values: list[float]) -> float:
    """Of the mean of two values or more."""
    return statistics.stdev(values) / math.sqrt(len(values))


def error_bar(values: list[float]) -> float:
    """Of the mean of values in a figure; one alone has none."""
    return standard_error(values) if len(values) > 1 else 0.0


def p_of_no_difference(gains: list[float]) -> float | None:
    """p of the two-sided t-test that the mean of paired differences is zero; None with fewer than two."""
    if len(gains) < 2:
        return None
    from scipy.stats import ttest_1samp  # type: ignore[import-untyped]

    if statistics.stdev(gains) == 0:
        return 1.0 if gains[0] == 0 else 0.0
    return float(ttest_1samp(gains, 0.0).pvalue)


def holm(ps: list[float | None]) -> list[float | None]:
    """Holm's correction of p-values for their number; None where there is none.

    Example:
        >>> holm([0.01, None, 0.04, 0.03])
        [0.03, None, 0.06, 0.06]
    """
    known = sorted((p, place) for place, p in enumerate(ps) if p is not None)
    corrected: list[float | None] = [None] * len(ps)
    highest = 0.0
    for rank, (p, place) in enumerate(known):
        highest = max(highest, min(1.0, p * (len(known) - rank)))
        corrected[place] = highest
    return corrected
