"""What ``torch.distributions.kl_divergence`` computes between logistic and between relaxed distributions.

A divergence does not change with a one-to-one map, so the relaxed distributions have that of their logarithms and
log-odds. At one temperature it does not depend on it:

* of logistic variables of one scale, with d the difference of their means in units of it: d coth(d / 2) - 2, and d is
  the difference of the log-odds of two relaxed Bernoulli variables;
* of relaxed categorical variables of n classes, with r = b / a the ratios of their weights and independent
  exponential variables E: n E[log sum r E] - sum log r - n digamma(n). The expectation is an integral over one
  number, by the trapezoidal rule, whose error is below 1e-12 here.

Between different scales or temperatures nobody knows a closed form. There the divergence is estimated from samples, and
a warning says so.
"""

from __future__ import annotations

import math
import warnings

import torch
from torch.distributions import Distribution, register_kl

from drawgrad._checks import check_count
from drawgrad._typing import Float, Tensor
from drawgrad.distributions._numerics import wide_dtype
from drawgrad.distributions._relaxation import BinaryRelaxation, CategoricalRelaxation
from drawgrad.distributions.logistic import Logistic
from drawgrad.distributions.relaxed_bernoulli import LogitRelaxedBernoulli, RelaxedBernoulli
from drawgrad.distributions.relaxed_categorical import ExpRelaxedCategorical, RelaxedOneHotCategorical
from drawgrad.distributions.sampling import rsample

__all__ = ["ApproximateDivergence", "monte_carlo_kl"]

SAMPLES = 1000
STEP = 0.3


class ApproximateDivergence(UserWarning):
    """A divergence was estimated from samples."""


def monte_carlo_kl(
    p: Distribution,
    q: Distribution,
    samples: int = SAMPLES,
    *,
    generator: torch.Generator | None = None,
    seed: int | Tensor | None = None,
) -> Float[Tensor, "..."]:
    r"""An unbiased estimate of a divergence, with a pathwise gradient for both distributions.

    .. math:: \mathrm{KL}(p \,\|\, q) \approx \frac{1}{n} \sum_{s=1}^n \log p(x_s) - \log q(x_s), \qquad x_s \sim p

    Args:
        p: a distribution with ``rsample`` and ``log_prob``.
        q: one with ``log_prob`` of the same event shape.
        samples: how many.
        generator: draws the seed; torch's default generator if None.
        seed: the seed itself, instead of ``generator``.

    Returns:
        Shape ``batch_shape``. It can be negative, as an estimate.

    Example:
        >>> import torch
        >>> from torch.distributions import Laplace, Normal
        >>> float(monte_carlo_kl(Normal(0.0, 1.0), Laplace(0.0, 1.0), 100_000, seed=0)) > 0
        True
    """
    check_count(samples, "samples", minimum=1)
    x = rsample(p, (samples,), generator=generator, seed=seed)
    return (p.log_prob(x) - q.log_prob(x)).mean(0)


def _or_estimated(exact: Tensor, known: Tensor, p: Distribution, q: Distribution) -> Tensor:
    """The closed form where it holds, and an estimate elsewhere."""
    if torch._is_all_true(known):
        return exact
    warnings.warn(
        f"the divergence of two {type(p).__name__} of different scale or temperature has no closed form and was "
        f"estimated from {SAMPLES} samples; monte_carlo_kl takes their number and a seed",
        ApproximateDivergence,
        stacklevel=4,
    )
    return torch.where(known, exact, monte_carlo_kl(p, q))


def _apart(difference: Tensor) -> Tensor:
    """d coth(d / 2) - 2, and a series where that would cancel."""
    d = difference.abs()
    small = d < 0.05
    near, far = torch.where(small, d, 0.0) ** 2, torch.where(small | d.isinf(), 1.0, d)
    series = near / 6 - near**2 / 360 + near**3 / 15120
    return torch.where(small, series, torch.where(d.isinf(), torch.inf, far + 2 * far / far.expm1() - 2))


@register_kl(Logistic, Logistic)
def _kl_logistic(p: Logistic, q: Logistic) -> Tensor:
    dtype = wide_dtype(p.loc.dtype, q.loc.dtype)
    exact = _apart((p.loc.double() - q.loc.double()) / p.scale.double()).to(dtype)
    return _or_estimated(exact, (p.scale == q.scale).expand_as(exact), p, q)


def _kl_binary(p: BinaryRelaxation, q: BinaryRelaxation) -> Tensor:
    ours, theirs = torch.broadcast_tensors(p._wide_logits.double(), q._wide_logits.double())
    same = ours == theirs
    exact = torch.where(same, 0.0, _apart(torch.where(same, 0.0, ours) - torch.where(same, 0.0, theirs)))
    exact = exact.to(wide_dtype(p._parameter.dtype, q._parameter.dtype))
    return _or_estimated(exact, (p.temperature == q.temperature).expand_as(exact), p, q)


def _kl_categorical(p: CategoricalRelaxation, q: CategoricalRelaxation) -> Tensor:
    if p.event_shape != q.event_shape:
        raise ValueError(
            f"p and q must have the same classes, but p has {p.event_shape[0]} and q has {q.event_shape[0]}; "
            "give the classes that one of them lacks the logit -inf there"
        )
    ours, theirs = torch.broadcast_tensors(p._log_probs.double(), q._log_probs.double())
    allowed = ours > -torch.inf
    # Relaxed samples of different classes lie in different parts of the simplex.
    disjoint = (allowed != (theirs > -torch.inf)).any(-1)
    both = allowed & ~disjoint[..., None]
    log_r = torch.where(both, theirs, 0.0) - torch.where(both, ours, 0.0)
    log_r = log_r - torch.where(both, log_r, -torch.inf).amax(-1, keepdim=True).clamp_min(-1e300).detach()
    n = both.sum(-1).double()
    classes = max(ours.shape[-1], 1)
    grid = torch.arange(-38 - math.log(classes), 40, STEP, dtype=torch.float64, device=ours.device)
    terms = torch.where(both[..., None], torch.nn.functional.softplus(log_r[..., None] + grid), 0.0)
    mean_log = STEP * ((-grid.exp()).exp() - (-terms.sum(-2)).exp()).sum(-1)
    exact = n * mean_log - torch.where(both, log_r, 0.0).sum(-1) - n * torch.digamma(n.clamp_min(1))
    exact = torch.where(disjoint, torch.inf, exact).to(wide_dtype(p._parameter.dtype, q._parameter.dtype))
    known = (p.temperature == q.temperature).expand_as(exact) | disjoint
    return _or_estimated(exact, known, p, q)


register_kl(LogitRelaxedBernoulli, LogitRelaxedBernoulli)(_kl_binary)
register_kl(RelaxedBernoulli, RelaxedBernoulli)(_kl_binary)
register_kl(ExpRelaxedCategorical, ExpRelaxedCategorical)(_kl_categorical)
register_kl(RelaxedOneHotCategorical, RelaxedOneHotCategorical)(_kl_categorical)
