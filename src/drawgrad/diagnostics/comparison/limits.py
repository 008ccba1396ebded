r"""How large a bias may be that was not seen: the inversion of a test.

The difference d of two means is nearly normal around the bias b, with covariance L. Of all biases of one length, those
along the largest axis of L, of variance s, are missed most easily; then

.. math:: |d|^2 = (|b| + \sqrt{s}\, x)^2 + R, \qquad x \sim N(0, 1)

and R has mean tr L - s and variance 2 (tr L² - s²), nearly those of a multiple of chi-square. If all axes are alike
this is a noncentral chi-square. The limit is the length at which so small a \|d\|² has the probability 1 - confidence.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

__all__ = ["CONFIDENCE", "largest_bias", "unseen_share"]

CONFIDENCE = 0.99
"""Of the limit, as far as chance goes, and of the share of outcomes that did not occur."""
WIDTH, POINTS = 8.5, 401
"""The integral over x: how far it goes, and its points."""
FAR_OUT = 1e4
"""Degrees of freedom from which on a chi-square is taken for normal."""
STEPS, EXACT = 40, 1e-6
"""Of the search for the limit: at most so many, until it is known to this part."""
SMALLEST = 1e-15
"""Probabilities are told apart down to here."""


def largest_bias(squared: float, trace: float, squared_trace: float, largest: float) -> float:
    """The longest bias that a difference of two means leaves possible.

    Args:
        squared: squared length of the difference.
        trace: of the covariance L of the difference.
        squared_trace: of L².
        largest: the variance along the largest axis of L.
    """
    if not all(map(math.isfinite, (squared, trace, squared_trace, largest))):
        return math.nan
    if trace <= 0:
        return math.sqrt(squared)
    wanted = _probit(1 - CONFIDENCE)

    def above(bias: float) -> float:
        return _probit(_probability(squared, bias, trace, squared_trace, largest)) - wanted

    low, high = 0.0, math.sqrt(squared) + WIDTH * math.sqrt(largest)
    at_low, at_high = above(low), above(high)
    if at_low <= 0:
        return 0.0
    if at_high >= 0:
        # The chance is smaller than what the lengths are rounded to.
        return high
    # The normal quantile of the probability is nearly a straight line, so its zero is found by intersections (the
    # Illinois rule: an end that stays twice counts half).
    for _ in range(STEPS):
        middle = (low * at_high - high * at_low) / (at_high - at_low)
        found = above(middle)
        if found > 0:
            low, at_low, at_high = middle, found, at_high / 2
        else:
            high, at_high, at_low = middle, found, at_low / 2
        if high - low <= EXACT * high or abs(found) < EXACT:
            return middle
    return high


def unseen_share(draws: int) -> float:
    """The probability of outcomes of which so many draws had none: at most this, at the confidence."""
    return min(-math.log(1 - CONFIDENCE) / draws, 1.0)


def _probit(probability: float) -> float:
    return float(
        torch.special.ndtri(
            torch.tensor(min(max(probability, SMALLEST), 1 - SMALLEST), dtype=torch.float64, device="cpu")
        )
    )


def _probability(squared: float, bias: float, trace: float, squared_trace: float, largest: float) -> float:
    """Of a squared length of at most ``squared``."""
    mean, half_variance, scale = trace - largest, squared_trace - largest**2, math.sqrt(largest)
    if mean <= 0 or half_variance <= 0:
        # R is a constant.
        ends = math.sqrt(max(squared - max(mean, 0.0), 0.0))
        low, high = torch.special.ndtr(
            torch.tensor([-ends - bias, ends - bias], dtype=torch.float64, device="cpu") / scale
        ).tolist()
        return high - low
    x = torch.linspace(-WIDTH, WIDTH, POINTS, dtype=torch.float64, device="cpu")
    weights = torch.exp(-x.square() / 2)
    below = _rest(squared - (bias + scale * x).square(), mean, half_variance)
    return float((weights * below).sum() / weights.sum())


def _rest(values: Tensor, mean: float, half_variance: float) -> Tensor:
    """The probability that R is at most each of some values."""
    freedom = mean**2 / half_variance
    if freedom > FAR_OUT:
        return torch.special.ndtr((values - mean) / math.sqrt(2 * half_variance))
    half = torch.full_like(values, freedom / 2)
    return torch.special.gammainc(half, (values * freedom / (2 * mean)).clamp(min=0))
