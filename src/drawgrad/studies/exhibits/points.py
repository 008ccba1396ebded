"""What the exhibits keep of a comparison of gradients: one point for each estimator and setting."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import torch

from drawgrad.diagnostics import Estimate, Quality, Verdict

__all__ = ["Point", "log_slope"]


@dataclass(frozen=True)
class Point:
    """How good a gradient is.

    Attributes:
        variance: Trace of its covariance.
        bias: Distance of its mean from the exact gradient.
        bias_squared: The square, estimated without bias, so it may be negative.
        bias_limit: What the bias is below.
        verdict: Whether a bias was seen, or would have been.
        evaluations: Of the cost, that it takes.
    """

    variance: Estimate
    bias: Estimate
    bias_squared: Estimate
    bias_limit: float
    verdict: Verdict
    evaluations: int

    @property
    def biased(self) -> bool:
        """Whether a bias was seen."""
        return self.verdict == "biased"

    @classmethod
    def of(cls, row: Quality) -> Point:
        """That of a row of a comparison."""
        return cls(row.variance, row.bias, row.bias_squared, row.bias_limit, row.verdict, row.evaluations)

    def plain(self) -> dict[str, Any]:
        """As JSON knows it."""
        return asdict(self)

    @classmethod
    def read(cls, plain: dict[str, Any]) -> Point:
        """What :meth:`plain` gave."""
        estimates = {name: Estimate(**plain[name]) for name in ("variance", "bias", "bias_squared")}
        return cls(**{**plain, **estimates})


def log_slope(points: Mapping[int, Estimate] | Mapping[float, Estimate]) -> Estimate:
    """The slope of a straight line through the logarithms of positive estimates, by weighted least squares."""
    x = torch.tensor([math.log(count) for count in points], dtype=torch.float64)
    y = torch.tensor([math.log(point.value) for point in points.values()], dtype=torch.float64)
    weight = torch.tensor([(point.value / point.error) ** 2 for point in points.values()], dtype=torch.float64)
    centered = x - (weight * x).sum() / weight.sum()
    scale = (weight * centered**2).sum()
    return Estimate(float((weight * centered * y).sum() / scale), float(scale**-0.5))
