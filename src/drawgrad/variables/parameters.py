"""The parameters of torch's distributions as they were given."""

from __future__ import annotations

import math
from typing import Any

import torch

from drawgrad._typing import Tensor

__all__ = ["exact_logits", "flattened_logits"]


def exact_logits(q: Any, binary: bool = False) -> Tensor:
    """The logits of a distribution, infinite where a probability was given as exactly 0 or, of a coin, as 1.

    Torch clamps the probabilities that it takes logarithms of, so that its logits of an impossible class are finite:
    -15.9 in float32. Such a class is never drawn here, and weighs nothing in a sum.

    Args:
        q: a distribution with ``logits`` and ``probs``.
        binary: whether the logits are log-odds.

    Example:
        >>> import torch
        >>> from torch.distributions import OneHotCategorical
        >>> q = OneHotCategorical(probs=torch.tensor([0.5, 0.5, 0.0]))
        >>> exact_logits(q)
        tensor([-0.6931, -0.6931,    -inf])
    """
    logits = q.logits
    held = vars(getattr(q, "_categorical", q))
    if next((name for name in held if name in ("logits", "probs")), "logits") == "logits":
        return logits  # the probabilities follow from them
    # A copy by expand holds both. Probabilities that follow from logits of this size are neither 0 nor 1.
    probs, limit = held["probs"], -math.log(torch.finfo(logits.dtype).eps) + 0.5
    logits = torch.where((probs == 0) & (logits > -limit), -torch.inf, logits)
    return torch.where((probs == 1) & (logits < limit), torch.inf, logits) if binary else logits


def flattened_logits(logits: Tensor, factors: Tensor) -> dict[str, Tensor]:
    """Logits multiplied by factors from 0, where all that is possible is alike, to 1; what is impossible stays so.

    Args:
        logits: shape ``(...)``.
        factors: shape ``(n,)``.

    Returns:
        The parameters of a distribution made of logits, shape ``(n, ...)``, without a gradient.
    """
    logits = logits.detach()
    factors = factors.to(logits).reshape(-1, *[1] * logits.dim())
    return {"logits": torch.where(logits.isfinite(), logits * factors, logits)}
