r"""What independent gradients say of their bias and variance, each with its standard error.

For draws g_1 .. g_n with mean m and covariance S, and a reference r (exact, or the mean of draws of its own), let
d = m - r and let L be the covariance of d: S/n, plus that of r. Then

.. math:: U = |d|^2 - \mathrm{tr}\, L, \qquad \mathrm{Var}\, U \approx 4\, \beta^\top L \beta + 2\, \mathrm{tr}\, L^2

U is an unbiased estimate of the squared bias; for an exact reference it is the mean of (g_i - r).(g_j - r) over pairs
of different draws. Without a bias, |d|^2 is distributed nearly as chi-square with (tr L)^2 / tr L^2 degrees of freedom,
times tr L / freedom; this gives the probability of a false alarm. The standard error of U is on the safe side near
U = 0, where the first term of its variance, which cannot be negative, is lost in noise.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from drawgrad.diagnostics.comparison.limits import largest_bias, unseen_share
from drawgrad.diagnostics.comparison.quality import Estimate

__all__ = ["Bias", "Sample", "bias_limit", "measure_bias"]

ROWS = 1000
"""Draws that are compared pair by pair; of more, the means of groups are."""
TURNS = 20
"""Multiplications by which the largest axis is found."""
ROUNDING = 16.0
"""A mean gradient may be off by this many units in the last place, whatever the statistics say."""


class Sample:
    """Independent gradients, shape ``(draws, parameters)``, and their moments in float64.

    Args:
        gradients: the draws; a single one is taken as exact.
        rounding: what they may be off by, beside the rounding of their own numbers.
        reach: how long a draw may be, though none of these is; 0 if what was drawn is taken for all there is.
    """

    def __init__(self, gradients: Tensor, rounding: float = 0.0, reach: float = 0.0) -> None:
        self.gradients = gradients
        self.count = len(gradients)
        self.mean = gradients.mean(0, dtype=torch.float64)
        size = gradients.double().norm(dim=1)
        self.reach = reach if self.count > 1 else 0.0
        self.rounding = rounding + ROUNDING * torch.finfo(gradients.dtype).eps * float(size.mean())
        group = -(-self.count // ROWS)
        groups = gradients[: self.count // group * group].unflatten(0, (-1, group)).mean(1, dtype=torch.float64)
        self._scale = group / self.count
        self._groups = groups - groups.mean(0)
        self._products = self._groups @ self._groups.T

    def unseen(self) -> float:
        """How far outcomes that did not occur may move the mean."""
        return self.reach * unseen_share(self.count)

    def squared_distances(self, point: Tensor) -> Tensor:
        """Of every draw to a point, shape ``(draws,)``."""
        return torch.cat([(part.double() - point).square().sum(1) for part in self.gradients.split(ROWS)])

    def variance(self) -> Estimate:
        """The trace of the covariance of one draw."""
        if self.count == 1:
            return Estimate(0.0, 0.0)
        return _mean(self.squared_distances(self.mean) * (self.count / (self.count - 1)))

    def error(self, reference: Sample) -> Estimate:
        """The mean squared distance of one draw from the mean that ``reference`` stands for."""
        found = _mean(self.squared_distances(reference.mean))
        return Estimate(found.value - reference.variance().value / reference.count, found.error)

    def along(self, direction: Tensor) -> float:
        """The variance of the mean along a direction, times the direction's squared length."""
        if self.count == 1:
            return 0.0
        return float((self._groups @ direction).square().sum()) / (len(self._groups) - 1) * self._scale

    def largest(self) -> float:
        """The variance of the mean along the axis on which it is largest; rather too large if draws are few."""
        if self.count == 1:
            return 0.0
        axis = self._products[self._products.diagonal().argmax()]
        for _ in range(TURNS):
            axis = self._products @ torch.nn.functional.normalize(axis, dim=0)
        return float(axis.norm()) / (len(axis) - 1) * self._scale

    def inner(self, other: Sample) -> float:
        """The trace of the product of two covariances, of the means of two samples; of one with itself for tr L^2."""
        if min(self.count, other.count) == 1:
            return 0.0
        products = (self._products if other is self else self._groups @ other._groups.T).square()
        rows, columns = products.shape
        if other is self:
            # A draw's product with itself is no product of independent ones.
            found = (products.sum() - products.diagonal().sum()) / (rows * (rows - 1))
        else:
            found = products.mean()
        shrunk = rows / (rows - 1) * columns / (columns - 1)
        return float(found) * shrunk * self._scale * other._scale

    def cosine(self, direction: Tensor) -> Estimate:
        """The mean cosine of a draw with a direction; a draw that is zero counts as orthogonal."""
        unit = torch.nn.functional.normalize(direction, dim=0)
        parts = [torch.nn.functional.normalize(part.double(), dim=1) @ unit for part in self.gradients.split(ROWS)]
        return _mean(torch.cat(parts))


@dataclass(frozen=True)
class Bias:
    """The distance of an estimator's mean from the exact gradient.

    Attributes:
        squared: estimate of its square, unbiased, so it may be negative.
        probability: of a difference as large as this one if there is no bias.
        rounding: what the arithmetic alone may be off by; no further draws make it smaller.
    """

    squared: Estimate
    probability: float
    rounding: float


def measure_bias(sample: Sample, reference: Sample) -> Bias:
    r"""Compare the means of two independent samples.

    A difference d is also explained by a draw of length B that has a probability of \|d\|/B, and may not have occurred
    at all. So the variance that it brings along, B \|d\| in the direction of d, is added to the variance that was seen,
    with B the sample's ``reach``. Then n draws show no bias shorter than 15 B/n, however little they vary, and where
    all of them are long ones the addition hardly counts.
    """
    off, trace, squared_trace = _difference(sample, reference)
    rounding = sample.rounding + reference.rounding
    distance = float(off.square().sum())
    if distance <= rounding**2:
        distance = 0.0
    along = sample.along(off) + reference.along(off)
    error = math.sqrt(4 * max(along - squared_trace, 0.0) + 2 * max(squared_trace, 0.0))
    excess = max(math.sqrt(distance) - rounding, 0.0) ** 2
    probability = 1.0
    if excess > 0:
        squared_trace = _possible(squared_trace, trace, off.numel())
        unseen = math.sqrt(distance) * (sample.reach / sample.count + reference.reach / reference.count)
        squared_trace += 2 * along * unseen / distance + unseen**2
        probability = _tail(excess, trace + unseen, squared_trace)
    return Bias(Estimate(distance - trace, error), probability, rounding)


def bias_limit(sample: Sample, reference: Sample) -> float:
    """What the bias does not exceed: what chance may hide, what outcomes may that did not occur, and rounding.

    Returns:
        The limit, with the confidence of :data:`~drawgrad.diagnostics.comparison.limits.CONFIDENCE`.
    """
    off, trace, squared_trace = _difference(sample, reference)
    squared_trace = _possible(squared_trace, trace, off.numel())
    largest = min(sample.largest() + reference.largest(), math.sqrt(squared_trace))
    chance = largest_bias(float(off.square().sum()), trace, squared_trace, largest)
    return chance + sample.unseen() + reference.unseen() + sample.rounding + reference.rounding


def _difference(sample: Sample, reference: Sample) -> tuple[Tensor, float, float]:
    """The difference d of two means, and tr L and tr L^2 of its covariance."""
    trace = sample.variance().value / sample.count + reference.variance().value / reference.count
    squared_trace = sample.inner(sample) + reference.inner(reference) + 2 * sample.inner(reference)
    return sample.mean - reference.mean, trace, squared_trace


def _possible(squared_trace: float, trace: float, parameters: int) -> float:
    """Of a covariance, tr L^2 lies between (tr L)^2 / parameters and (tr L)^2; its estimate need not."""
    return min(max(squared_trace, trace**2 / parameters), trace**2)


def _tail(squared: float, trace: float, squared_trace: float) -> float:
    """The probability that a squared length exceeds ``squared``, of a normal vector with these traces of L and L^2."""
    if trace <= 0:
        return 0.0
    freedom = trace**2 / squared_trace
    half = torch.tensor([freedom / 2, squared * freedom / (2 * trace)], dtype=torch.float64, device="cpu")
    return float(torch.special.gammaincc(half[0], half[1]))


def _mean(values: Tensor) -> Estimate:
    error = float(values.std()) / math.sqrt(len(values)) if len(values) > 1 else 0.0
    return Estimate(float(values.mean()), error)
