"""Which estimator is good on this cost? Bias, variance and effort of each, against the exact gradient."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from drawgrad._checks import check_count
from drawgrad.diagnostics.comparison.adaptation import adapted
from drawgrad.diagnostics.comparison.costs import CostFunction, Watched
from drawgrad.diagnostics.comparison.gradients import Effort, draw_gradients, measure_effort, try_out
from drawgrad.diagnostics.comparison.names import named
from drawgrad.diagnostics.comparison.quality import Estimate, Quality, Verdict
from drawgrad.diagnostics.comparison.reach import longest
from drawgrad.diagnostics.comparison.reference import Reference, make_reference
from drawgrad.diagnostics.comparison.replicas import replicate
from drawgrad.diagnostics.comparison.report import Report
from drawgrad.diagnostics.comparison.statistics import Bias, Sample, bias_limit, measure_bias
from drawgrad.estimators import Estimator
from drawgrad.functional import draw_seed
from drawgrad.variables import Distributions

__all__ = ["compare"]

ALPHA = 1e-4
"""Probability that an estimator without bias is called biased."""


def compare(
    estimators: Sequence[Estimator] | Mapping[str, Estimator],
    cost: CostFunction,
    q: Distributions,
    *,
    draws: int = 1000,
    reference: Estimator | Tensor | None = None,
    generator: torch.Generator | None = None,
    resolution: float = 0.1,
    adapt: int = 100,
    at_once: int | None = None,
) -> Report:
    r"""Measure the gradients of estimators for the parameters of ``q`` on a cost of your own.

    .. math:: E|g - r|^2 = |E g - r|^2 + \mathrm{tr}\, \mathrm{Cov}(g)

    for gradients g and the exact gradient r: mean squared error is squared bias plus variance. Each of them is told
    with its standard error, so that an estimator in which no bias was seen is told apart from one that was drawn too
    seldom to see it. What is compared is the gradient for the logits of discrete distributions and for the
    constructor's parameters of others, summed over the loss; neither your tensors nor your estimators are changed.

    Estimators of a multi-sample bound, such as ``Vimco``, have the gradient of that bound. They are not held against
    that of E[cost]: their row has variance and effort alone, unless you give the exact gradient of the bound.

    A bias is "seen" if neither chance nor rare outcomes explain the difference: an outcome of probability p with a
    gradient of length B moves the mean by p B, also if it was never drawn. How long a gradient may be is found where
    rare outcomes are common, at shrunk logits. "None seen" has a limit, which the bias exceeds in at most one of 100
    comparisons: it covers chance, outcomes that were not drawn (4.6 B / draws) and rounding. So where ``q`` is nearly
    certain, late in training, the verdict is "too few draws" until its rare outcomes were seen, and in half precision,
    or where costs are much larger than what they differ by, it may be "too coarse".

    A cost may be random, as with dropout or an expectation inside. That is noticed, as it is computed twice for the
    same samples. The reference is then a mean with an error of its own, of enumerations or samples; every gradient has
    a call of the cost of its own, and ``Exact`` a variance.

    An estimator that learns is copied first and, if it is in training mode, adapted to the problem.

    Args:
        estimators: what to compare, a list, or a dict with names of your own.
        cost: maps samples ``z`` of shape ``(samples, *batch, *event)`` to costs ``(samples, *lead)``.
        q: the distribution.
        draws: gradients of each estimator.
        reference: whose mean is taken as the exact gradient: an unbiased estimator, which then gets four times the
            draws, or the exact gradient itself. If None, the states are enumerated if they are few enough, and
            ``LeaveOneOut(samples=16)`` is drawn if not.
        generator: draws the seeds; torch's default generator if None.
        resolution: a bias of this size, relative to the exact gradient, must be noticed; where it could not be, the
            verdict is "too few draws" or "too coarse".
        adapt: steps in which an estimator that learns is adapted, of 16 draws each.
        at_once: draws that are computed together, and states of an enumerated reference; as many as memory allows if
            None. For a cost that takes one number of samples only, use 1; if that number is not one, or if
            ``LeaveOneOut`` would be drawn, give a ``reference`` too.

    Returns:
        The report; ``print`` shows it as a table.

    Raises:
        TypeError: if an estimator does not take this ``q``, or if ``q`` cannot be copied.
        ValueError: if an argument breaks its rule, or if the cost is wrong.

    Example:
        >>> from torch.distributions import OneHotCategorical
        >>> from drawgrad.estimators import Reinforce, StraightThrough
        >>> q = OneHotCategorical(logits=torch.zeros(3))
        >>> cost = lambda z: (z * torch.arange(3.0)).sum(-1)
        >>> seeds = torch.Generator().manual_seed(0)
        >>> report = compare([StraightThrough(), Reinforce()], cost, q, draws=4000, generator=seeds)
        >>> [row.verdict for row in report.rows]
        ['none seen', 'none seen']
        >>> report["Reinforce"].variance.value > report["StraightThrough"].variance.value
        True

    References:
        Chen, Qin. A two-sample test for high-dimensional data with applications to gene-set testing. Annals of
        Statistics 38, 2010 (the unbiased estimate of a squared distance of means).
    """
    check_count(draws, "draws", minimum=2)
    check_count(adapt, "adapt")
    if at_once is not None:
        check_count(at_once, "at_once", minimum=1)
    if not 0 < resolution < math.inf:
        raise ValueError(f"resolution must be positive and finite, but it is {resolution!r}; 0.1 is the default")
    listed = named(estimators)
    for estimator in listed.values():
        estimator.check_supported(q)
    # All estimators see the same seeds, whichever others are on the list; the reference sees others.
    first = int(draw_seed(generator=generator, device="cpu" if generator is None else generator.device))
    replicate(q, 1)  # What cannot be copied is refused before anything is computed.
    watched = Watched(cost)
    ready = {name: adapted(estimator, cost, q, adapt, _generator(first + 2)) for name, estimator in listed.items()}
    for estimator in ready.values():
        try_out(estimator, watched, q, _generator(first + 3))
    truth = make_reference(reference, watched, q, draws, _generator(first + 1), at_once)
    # A random cost may share its random numbers among the samples of a call: then each gradient is a call of its own.
    size = 1 if watched.is_random else at_once
    norm = _norm(truth.sample)
    rows = []
    for name, estimator in ready.items():
        effort = measure_effort(estimator, cost, q, _generator(first + 3))
        count = 1 if estimator.exact and not watched.is_random else draws
        found = draw_gradients(estimator, cost, q, count, _generator(first), effort.rows, size)
        reach = longest(found, estimator, watched, q, _generator(first + 4), effort.rows, at_once)
        sample = Sample(found, watched.rounding(found.dtype), max(reach, norm.value))
        rows.append(_quality(name, listed[name], sample, truth, effort, resolution))
    if not isinstance(reference, Tensor):
        # The reference is the gradient of E[cost]; only who gives one knows whether it is that of the bound.
        rows = [_without_distances(row) if listed[row.name].multi_sample_bound else row for row in rows]
    return Report(tuple(rows), truth.description, norm, len(truth.sample.mean), draws, resolution, watched.is_random)


def _generator(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed % 2**63)


def _norm(sample: Sample) -> Estimate:
    """The norm of a mean, from the unbiased estimate of its square."""
    noise = sample.variance().value / sample.count
    return Estimate(math.sqrt(max(float(sample.mean.square().sum()) - noise, 0.0)), math.sqrt(noise))


def _quality(
    name: str, estimator: Estimator, sample: Sample, truth: Reference, effort: Effort, resolution: float
) -> Quality:
    bias, variance = measure_bias(sample, truth.sample), sample.variance()
    limit = bias_limit(sample, truth.sample)
    error = sample.error(truth.sample)
    signal = math.sqrt(max(float(sample.mean.square().sum()) - variance.value / sample.count, 0.0))
    return Quality(
        name=name,
        claims_unbiased=estimator.unbiased,
        verdict=_verdict(bias, limit, resolution * _norm(truth.sample).value),
        bias=_root(bias.squared),
        bias_squared=bias.squared,
        bias_limit=limit,
        variance=variance,
        mean_squared_error=error,
        cosine=sample.cosine(truth.sample.mean),
        signal_to_noise=_signal_to_noise(signal, variance.value),
        evaluations=effort.evaluations,
        seconds=effort.seconds,
        draws=sample.count,
    )


def _signal_to_noise(signal: float, variance: float) -> float:
    if math.isnan(variance) or signal == variance == 0:
        return math.nan
    return signal / math.sqrt(variance) if variance > 0 else math.inf


def _without_distances(row: Quality) -> Quality:
    """What can be said of a gradient that is not that of E[cost]: nothing about its distance from that one."""
    unknown = Estimate(math.nan, math.nan)
    return dataclasses.replace(
        row, verdict="other objective", bias=unknown, bias_squared=unknown, bias_limit=math.nan,
        mean_squared_error=unknown, cosine=unknown,
    )  # fmt: skip


def _verdict(bias: Bias, limit: float, noticed: float) -> Verdict:
    if not math.isfinite(bias.squared.value):
        return "not finite"
    if bias.probability < ALPHA:
        return "biased"
    if limit <= noticed:
        return "none seen"
    return "too few draws" if bias.rounding <= noticed else "too coarse"


def _root(squared: Estimate) -> Estimate:
    """The square root of an estimate, whose standard error is that of the root at least far from zero."""
    root, spread = math.sqrt(max(squared.value, 0.0)), math.sqrt(squared.error)
    return Estimate(root, min(squared.error / (2 * root), spread) if root > 0 else spread)
