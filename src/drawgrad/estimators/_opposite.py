"""Antithetic samples: two that share one uniform number and lie as far apart as it allows."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.distributions import Distribution

from drawgrad._independent import innermost
from drawgrad.estimators._discrete import OneHot, discrete
from drawgrad.estimators._registry import kinds_of
from drawgrad.functional import logistic_noise

__all__ = ["draw_opposite"]


def draw_opposite(q: Distribution, samples: int, seed: Tensor) -> Tensor:
    r"""Draw pairs F^-1(u), F^-1(1 - u), each of the two a sample of q, on opposite sides of its median.

    The classes of a one-hot variable have no order. They lie side by side on a circle of length 1, and the pair is at u
    and u + 1/2: both are of class i with probability max(0, 2 pi_i - 1), the least that is possible.

    Args:
        q: one-hot categorical, Bernoulli, or a distribution with ``icdf``; also inside ``Independent``.
        samples: how many, an even number; the partner of sample s is sample s + samples / 2.
        seed: 0-dim int64 tensor.

    Returns:
        Samples, shape ``(samples, *batch, *event)``, without a gradient.

    Raises:
        TypeError: if the distribution function of q cannot be inverted.
    """
    half = samples // 2
    with torch.no_grad():
        if not kinds_of(q) & {"categorical", "binary"}:
            return _draw_inverse(q, half, seed)
        variable = discrete(q).expand(half)
        logits = variable.logits.double()
        x = logistic_noise(variable.batch_shape, dtype=torch.float64, device=logits.device, seed=seed)
        if not isinstance(variable, OneHot):
            return variable.encode(torch.cat([logits + x > 0, logits - x > 0]))
        u = x.sigmoid()
        ends = logits.softmax(-1).cumsum(-1)
        # Scaled by the last end, which rounding may leave beside 1.
        at = torch.stack([u, (u + 0.5) % 1])[..., None] * ends[..., -1:]
        return variable.encode((ends <= at).sum(-1).flatten(0, 1))


def _draw_inverse(q: Distribution, half: int, seed: Tensor) -> Tensor:
    base = innermost(q)
    if type(base).icdf is Distribution.icdf:
        raise TypeError(
            "antithetic=True takes q = OneHotCategorical, Bernoulli or a distribution with icdf, but q is a "
            f"{type(q).__name__}; use antithetic=False"
        )
    like = q.sample(torch.Size([0]))
    x = logistic_noise((half, *like.shape[1:]), dtype=torch.float64, device=like.device, seed=seed)
    return base.icdf(torch.cat([x, -x]).sigmoid()).to(like.dtype)
