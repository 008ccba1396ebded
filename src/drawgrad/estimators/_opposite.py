"""Antithetic samples: one uniform number u, used as u and as 1 - u."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.distributions import Distribution, Independent

from drawgrad.estimators._discrete import OneHot, discrete
from drawgrad.estimators._registry import kinds_of
from drawgrad.functional import logistic_noise

__all__ = ["draw_opposite"]


def draw_opposite(q: Distribution, samples: int, seed: Tensor) -> Tensor:
    r"""Draw pairs F^-1(u), F^-1(1 - u); each of the two is a sample of q, and they tend to lie on opposite sides.

    The classes of a one-hot variable lie side by side on [0, 1] in their order.

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
        x = torch.cat([x, -x])
        logits = logits.repeat(2, *[1] * (logits.dim() - 1))
        if isinstance(variable, OneHot):
            ends = logits.softmax(-1).cumsum(-1)
            # Scaled by the last end, which rounding may leave beside 1.
            code = (ends <= x.sigmoid()[..., None] * ends[..., -1:]).sum(-1)
        else:
            code = logits + x > 0
        return variable.encode(code)


def _draw_inverse(q: Distribution, half: int, seed: Tensor) -> Tensor:
    base = q
    while isinstance(base, Independent):
        base = base.base_dist
    if type(base).icdf is Distribution.icdf:
        raise TypeError(
            "antithetic=True takes q = OneHotCategorical, Bernoulli or a distribution with icdf, but q is a "
            f"{type(q).__name__}; use antithetic=False"
        )
    like = q.sample(torch.Size([0]))
    x = logistic_noise((half, *like.shape[1:]), dtype=torch.float64, device=like.device, seed=seed)
    return base.icdf(torch.cat([x, -x]).sigmoid()).to(like.dtype)
