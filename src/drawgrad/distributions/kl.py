"""What ``torch.distributions.kl_divergence`` computes where a straight-through distribution takes part.

torch's own formulas for the discrete distributions would serve, but they go by probabilities: a class that one side
rules out makes the gradient of its whole row NaN, and a probability that rounds to zero makes the divergence infinite.
Those of the relaxed distributions are others, see :mod:`drawgrad.distributions.kl_relaxed`.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.distributions import Bernoulli, OneHotCategorical, register_kl

from drawgrad.distributions._numerics import log_odds, log_or_minus_infinity, wide_dtype
from drawgrad.distributions.straight_through import (
    RelaxedBernoulliStraightThrough,
    RelaxedOneHotCategoricalStraightThrough,
)
from drawgrad.functional import bernoulli_kl, categorical_kl
from drawgrad.kernels.log_probs import log_softmax

__all__: list[str] = []


def _register(hard: type, discrete: type) -> None:
    """Register every pair of a straight-through distribution and the discrete one that it extends, but torch's own."""
    for p, q in ((hard, hard), (hard, discrete), (discrete, hard)):
        register_kl(p, q)(_kl_categorical if discrete is OneHotCategorical else _kl_bernoulli)


def _kl_categorical(p: OneHotCategorical, q: OneHotCategorical) -> Tensor:
    if p.event_shape != q.event_shape:
        raise ValueError(
            f"p and q must have the same classes, but p has {p.event_shape[0]} and q has {q.event_shape[0]}; "
            "give the classes that one of them lacks the logit -inf there"
        )
    return categorical_kl(log_softmax(_given_logits(p)), log_softmax(_given_logits(q)))


def _kl_bernoulli(p: Bernoulli, q: Bernoulli) -> Tensor:
    return bernoulli_kl(_given_logits(p), _given_logits(q))


def _given_logits(q: OneHotCategorical | Bernoulli) -> Tensor:
    """The logits as they follow from what was given, in the dtype to compute in."""
    if isinstance(q, RelaxedOneHotCategoricalStraightThrough):
        return q._wide_scores
    if isinstance(q, RelaxedBernoulliStraightThrough):
        return q._wide_logits
    # torch clamps probabilities before it takes their logarithm: what is beyond the clamp must have been given as a
    # probability. Logits that were given can be there by chance only, and then their probabilities say the same.
    eps = torch.finfo(q.probs.dtype).eps
    clamp = -math.log(eps) * (1 + 4 * eps)
    clamped = ((q.probs < eps) | (q.probs > 1 - eps)) & (q.logits.abs() <= clamp)
    wide = wide_dtype(q.probs.dtype)
    of_probs = log_odds if isinstance(q, Bernoulli) else log_or_minus_infinity
    return torch.where(clamped, of_probs(q.probs.to(wide)), q.logits.to(wide))


_register(RelaxedOneHotCategoricalStraightThrough, OneHotCategorical)
_register(RelaxedBernoulliStraightThrough, Bernoulli)
