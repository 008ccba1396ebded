"""Statistical checks whose tolerance follows from the sample, never from the taste of the author.

Each check takes ``alpha``, the probability of a false alarm, and ``resolution``, the deviation that must be noticed.
The tolerance is derived from ``alpha`` and the sample size, shared by all entries (Bonferroni). If a deviation of
``resolution`` could slip through with a probability above ``MISS``, the check raises :class:`Underpowered` instead of
passing: draw more samples, or ask for less.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import stats
from torch import Tensor

__all__ = [
    "ALPHA",
    "MISS",
    "Underpowered",
    "assert_distribution",
    "assert_frequencies",
    "assert_mean",
    "assert_uncorrelated",
    "with_enough_draws",
]

ALPHA = 1e-6
"""Probability of a false alarm, over all entries of one check."""
MISS = 0.01
"""Largest probability with which a deviation of ``resolution`` may go unnoticed."""

FEWEST_SAMPLES = 100
FEWEST_EXPECTED = 25.0


class Underpowered(AssertionError):
    """The sample is too small for the resolution that the test claims."""


def with_enough_draws(check: Callable[[int], None], most: int) -> None:
    """Run a check with few draws first, and with up to ``most`` if those are too few for its resolution.

    Whether draws suffice depends on how much they vary and not on what comes out, so a second look is no second chance.

    Args:
        check: takes the number of draws; raises :class:`Underpowered` if there are too few.
        most: the number of draws to end with; the first attempt takes a 64th of it.
    """
    for draws in (most // 64, most // 16, most // 4):
        with contextlib.suppress(Underpowered):
            return check(draws)
    return check(most)


def assert_mean(
    samples: Tensor,
    expected: Tensor | float,
    *,
    resolution: float,
    alpha: float = ALPHA,
    magnitude: float = 0.0,
) -> None:
    """Check that the mean of a distribution is ``expected``, entry by entry, by Student's t.

    Args:
        samples: independent draws, shape ``(n, *entries)``.
        expected: the mean, broadcasts to ``entries``.
        resolution: absolute deviation that must be noticed in any entry.
        alpha: probability of a false alarm over all entries.
        magnitude: of the numbers that a sample was computed from, if they were larger and canceled.

    Raises:
        Underpowered: if the standard error is too large for the resolution.
        AssertionError: if the mean of some entry is off.
    """
    values = samples.detach().double().cpu().reshape(len(samples), -1)
    target = torch.as_tensor(expected, dtype=torch.float64).cpu().broadcast_to(samples.shape[1:]).reshape(-1)
    n, entries = values.shape
    if not bool(values.isfinite().all()):
        raise AssertionError("some samples are not finite, so they have no mean")
    if n < FEWEST_SAMPLES:
        raise Underpowered(f"{n} samples are too few for a mean; draw {FEWEST_SAMPLES} at least")

    # Samples that hardly vary are compared up to the rounding of their own dtype.
    largest = max(values.abs().max().item(), magnitude)
    rounding = 8 * torch.finfo(samples.dtype).eps * largest if samples.is_floating_point() else 0.0
    error = values.std(0) / math.sqrt(n)
    bound = stats.t.isf(alpha / (2 * entries), n - 1) * error + rounding
    noticed = bound + stats.norm.isf(MISS) * error
    worst = noticed.max().item()
    if worst > resolution:
        raise Underpowered(
            f"{n} samples notice deviations of {worst:.3g}, not of {resolution:.3g}; "
            f"draw about {math.ceil(n * (worst / resolution) ** 2)}"
        )
    deviation = values.mean(0) - target
    excess = deviation.abs() - bound
    entry = int(excess.argmax())
    if excess[entry] > 0:
        raise AssertionError(
            f"the mean of entry {entry} is {values.mean(0)[entry]:.6g} instead of {target[entry]:.6g}: off by "
            f"{deviation[entry]:.3g}, allowed are {bound[entry]:.3g} (n = {n}, {entries} entries, alpha = {alpha:g})"
        )


def assert_frequencies(counts: Tensor, probabilities: Tensor, *, resolution: float, alpha: float = ALPHA) -> None:
    """Check counts of classes against their probabilities, row by row, by Pearson's chi-square.

    Rare classes are counted together, until each group is expected often enough for the chi-square approximation. A
    class of probability zero must not occur at all.

    Args:
        counts: how often each class was drawn, shape ``(*rows, k)``.
        probabilities: shape ``(*rows, k)`` or one that broadcasts to it; each row sums to one.
        resolution: deviation of a (group's) probability that must be noticed.
        alpha: probability of a false alarm over all rows.

    Raises:
        Underpowered: if a deviation of ``resolution`` might not be noticed.
        AssertionError: if the frequencies of some row are off.
    """
    observed = counts.detach().double().cpu().reshape(-1, counts.shape[-1]).numpy()
    p = probabilities.detach().double().cpu().broadcast_to(counts.shape).reshape(observed.shape).numpy()
    for row, (row_observed, row_p) in enumerate(zip(observed, p, strict=True)):
        _check_row(row_observed, row_p / row_p.sum(), row, resolution, alpha / len(observed))


def _check_row(
    observed: NDArray[np.float64], p: NDArray[np.float64], row: int, resolution: float, alpha: float
) -> None:
    n = observed.sum()
    impossible = (p == 0) & (observed > 0)
    if impossible.any():
        raise AssertionError(f"row {row}: class {impossible.argmax()} has probability zero, but it was drawn")
    observed, p = _pooled(observed, p, n)
    if len(p) < 2:
        raise Underpowered(f"row {row}: {n:.0f} draws leave no two groups of classes to compare; draw more")

    freedom = len(p) - 1
    critical = stats.chi2.isf(alpha, freedom)
    # Of all deviations with resolution as their largest, the least visible one hits the class nearest to 1/2.
    visible = n * resolution**2 / (p * (1 - p)).max()
    missed = stats.ncx2.cdf(critical, freedom, visible)
    if missed > MISS:
        raise Underpowered(
            f"row {row}: with {n:.0f} draws a deviation of {resolution:g} is missed with probability {missed:.2g}"
        )
    statistic = ((observed - n * p) ** 2 / (n * p)).sum()
    if statistic > critical:
        worst = np.abs(observed / n - p).argmax()
        raise AssertionError(
            f"row {row}: chi-square {statistic:.4g} exceeds {critical:.4g} ({freedom} degrees of freedom, alpha = "
            f"{alpha:g}); the largest deviation is {observed[worst] / n:.5g} for {p[worst]:.5g}"
        )


def _pooled(
    observed: NDArray[np.float64], p: NDArray[np.float64], n: float
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Merge the rarest classes into groups that are expected ``FEWEST_EXPECTED`` times at least."""
    order = np.argsort(-p)
    groups: list[list[float]] = []
    for count, probability in zip(observed[order], p[order], strict=True):
        if probability == 0:
            break
        if groups and n * groups[-1][1] < FEWEST_EXPECTED:
            groups[-1][0] += count
            groups[-1][1] += probability
        else:
            groups.append([count, probability])
    if len(groups) > 1 and n * groups[-1][1] < FEWEST_EXPECTED:
        last = groups.pop()
        groups[-1] = [groups[-1][0] + last[0], groups[-1][1] + last[1]]
    merged = np.array(groups)
    return merged[:, 0], merged[:, 1]


def assert_distribution(
    samples: Tensor,
    cdf: Callable[[NDArray[np.float64]], NDArray[np.float64]],
    *,
    resolution: float,
    alpha: float = ALPHA,
) -> None:
    """Check that independent draws follow a continuous distribution, by Kolmogorov and Smirnov.

    Args:
        samples: independent draws, any shape.
        cdf: the distribution function, of a float64 array.
        resolution: largest distance of two distribution functions that may go unnoticed.
        alpha: probability of a false alarm.

    Raises:
        Underpowered: if there are too few draws for the resolution.
        AssertionError: if the draws do not follow the distribution.
    """
    values = np.sort(samples.detach().double().cpu().flatten().numpy())
    n = len(values)
    if not np.isfinite(values).all():
        raise AssertionError("some samples are not finite")
    critical = stats.kstwo.isf(alpha, n)
    noticed = critical + stats.kstwo.isf(MISS, n)
    if noticed > resolution:
        raise Underpowered(
            f"{n} samples notice distances of {noticed:.3g}, not of {resolution:.3g}; "
            f"draw about {math.ceil(n * (noticed / resolution) ** 2)}"
        )
    expected = cdf(values)
    steps = np.arange(n + 1) / n
    distance = max((steps[1:] - expected).max(), (expected - steps[:-1]).max())
    if distance > critical:
        raise AssertionError(
            f"the distribution function is off by {distance:.4g}, allowed are {critical:.4g} "
            f"(n = {n}, alpha = {alpha:g})"
        )


def assert_uncorrelated(left: Tensor, right: Tensor | None = None, *, resolution: float, alpha: float = ALPHA) -> None:
    """Check that no variable of ``left`` is correlated with one of ``right``, by Fisher's normal approximation.

    Args:
        left: independent draws of some variables, shape ``(n, variables)``.
        right: draws of others that belong to them, shape ``(n, others)``; the other variables of ``left`` if None.
        resolution: correlation that must be noticed.
        alpha: probability of a false alarm over all pairs.

    Raises:
        Underpowered: if there are too few draws for the resolution.
        AssertionError: if two variables are correlated.
    """
    n = len(left)
    a = _standardized(left)
    correlation = a.T @ (a if right is None else _standardized(right)) / n
    if right is None:
        correlation = correlation.triu(1)
    error = 1 / math.sqrt(n)
    bound = stats.norm.isf(alpha / (2 * correlation.numel())) * error
    noticed = bound + stats.norm.isf(MISS) * error
    if noticed > resolution:
        raise Underpowered(
            f"{n} draws notice correlations of {noticed:.3g}, not of {resolution:.3g}; "
            f"draw about {math.ceil(n * (noticed / resolution) ** 2)}"
        )
    worst = int(correlation.abs().argmax())
    if correlation.flatten()[worst].abs() > bound:
        i, j = divmod(worst, correlation.shape[1])
        raise AssertionError(
            f"variables {i} and {j} are correlated by {correlation.flatten()[worst]:.4g}, allowed are {bound:.4g} "
            f"(n = {n}, {correlation.numel()} pairs, alpha = {alpha:g})"
        )


def _standardized(draws: Tensor) -> Tensor:
    values = draws.detach().double().cpu().reshape(len(draws), -1)
    return (values - values.mean(0)) / values.std(0, correction=0)
