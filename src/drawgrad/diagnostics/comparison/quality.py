"""What is measured of an estimator: numbers with their errors, a verdict, a place in a ranking."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from drawgrad._tables import with_spread
from drawgrad.estimators import Estimator

__all__ = ["Estimate", "Quality", "Ranked", "Verdict"]

Verdict = Literal["biased", "none seen", "too few draws", "too coarse", "not finite", "other objective"]


@dataclass(frozen=True)
class Estimate:
    """A number and its standard error.

    Example:
        >>> str(Estimate(0.123456, 0.00123))
        '0.1235 ± 0.0012'
    """

    value: float
    error: float

    def __str__(self) -> str:
        return with_spread(self.value, self.error)


@dataclass(frozen=True)
class Quality:
    """How good the gradients of one estimator are.

    Attributes:
        name: what it is called.
        claims_unbiased: what it says of itself.
        verdict: "biased"; "none seen" if the bias is at most what had to be noticed; "too few draws" if it may be
            larger; "too coarse" if rounding alone may be larger, so that more draws say no more; "not finite"; or
            "other objective" for the gradient of a multi-sample bound, whose bias, error and cosine are NaN.
        bias: distance of the mean gradient from the exact one.
        bias_squared: its square, estimated without bias, so it may be negative.
        bias_limit: what the bias does not exceed in 99 of 100 comparisons: what chance may hide, what outcomes may that
            were not drawn, and rounding.
        variance: trace of the covariance of one gradient.
        mean_squared_error: mean squared distance of one gradient from the exact one.
        cosine: mean cosine of a gradient with the exact one; one that is zero counts as 0.
        signal_to_noise: norm of the mean gradient over the square root of the variance; NaN of one that is always
            zero, or not finite.
        evaluations: samples z that one gradient takes.
        seconds: time that one gradient takes.
        draws: gradients that were drawn.
    """

    name: str
    claims_unbiased: bool
    verdict: Verdict
    bias: Estimate
    bias_squared: Estimate
    bias_limit: float
    variance: Estimate
    mean_squared_error: Estimate
    cosine: Estimate
    signal_to_noise: float
    evaluations: int
    seconds: float
    draws: int


@dataclass(frozen=True)
class Ranked:
    """An estimator with its place in a ranking.

    Attributes:
        estimator: the estimator.
        quality: what was measured of one of its gradients.
        gradients: how many of its gradients the budget pays for; they are averaged.
        left: what is left of the budget then, too little for one more.
        mean_squared_error: of that average: squared bias, and the variance divided by ``gradients``.
        bias_share: which part of it is squared bias.
    """

    estimator: Estimator
    quality: Quality
    gradients: int
    left: float
    mean_squared_error: Estimate
    bias_share: float
