"""What can be read from a training step: how the choices are spread, how hard samples are, how large the gradient."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.distributions import Bernoulli, Distribution, OneHotCategorical

from drawgrad._independent import innermost

__all__ = ["choice_figures", "gradient_figures", "is_soft", "kl_figures", "logits_of", "sample_figures"]

DEAD = 0.01
"""A class is dead if it gets less than this part of its equal share."""
SATURATED = 1e-6
"""A choice is saturated if all classes but one share less probability than this."""
ACTIVE = 0.01
"""A variable is active if it carries more nats than this."""
HARD = 1e-3
"""Farthest from zero or one that an entry of a hard sample may be."""


def logits_of(q: Distribution) -> Tensor | None:
    """The logits of a discrete distribution, the tensor through which its gradient flows; None for others."""
    base = innermost(q)
    return base.logits if isinstance(base, OneHotCategorical | Bernoulli) else None


def choice_figures(q: Distribution, variables: int) -> dict[str, float]:
    """How the choices are spread, of a batch of discrete distributions.

    Args:
        q: batch shape ``(*examples, *variables)``.
        variables: how many of the last batch dimensions are different variables, rather than examples.

    Returns:
        ``entropy`` of a choice, from 0 to 1 (all classes alike); ``perplexity``, how many classes are in use on average
        over the examples; ``dead_classes``, the part of them that is not; ``saturated``, the part of the choices that
        are as good as certain. Empty for a distribution that is not discrete.
    """
    logits = logits_of(q)
    if logits is None:
        return {}
    p = logits.detach().float()
    p = p.softmax(-1) if isinstance(innermost(q), OneHotCategorical) else torch.stack([p.sigmoid(), (-p).sigmoid()], -1)
    classes = p.shape[-1]
    examples = p.dim() - 1 - min(variables, p.dim() - 1)
    used = p.flatten(0, examples - 1).mean(0) if examples else p
    return {
        "entropy": float(_entropy(p).mean()) / math.log(classes) if classes > 1 else 1.0,
        "perplexity": float(_entropy(used).exp().mean()),
        "dead_classes": float((used < DEAD / classes).float().mean()),
        "saturated": float((p.sum(-1) - p.amax(-1) < SATURATED).float().mean()),
    }


def sample_figures(z: Tensor, q: Distribution | None) -> dict[str, float]:
    """How hard samples are: ``sharpness`` is 0 for a relaxed one in which all classes are alike, 1 for a hard one."""
    z = z.detach().float()
    if q is None or not isinstance(innermost(q), OneHotCategorical):
        return {"sharpness": float((2 * z - 1).abs().mean())}
    classes = z.shape[-1]
    return {"sharpness": float((z.amax(-1) * classes - 1).mean()) / (classes - 1) if classes > 1 else 1.0}


def is_soft(z: Tensor) -> bool:
    """Whether some entry is neither zero nor one."""
    return bool(((z - z.round()).abs() > HARD).any())


def kl_figures(kl: Tensor) -> dict[str, float]:
    """``kl`` in nats, summed over the variables, and ``active``, the part of them that carry any.

    Args:
        kl: shape ``(*examples, variables)``.
    """
    each = kl.detach().float().reshape(-1, kl.shape[-1] if kl.dim() else 1).mean(0)
    return {"kl": float(each.sum()), "active": float((each > ACTIVE).float().mean())}


def gradient_figures(grad: Tensor, q: Distribution) -> dict[str, float]:
    """Of the gradient for the logits: its root mean square, its peak, and how many choices have a part in it.

    Args:
        grad: like the logits.
        q: the distribution; every row of a categorical one is a choice, every entry of a binary one.

    Returns:
        ``gradient`` and ``peak``, root mean square and maximum of the norm that one choice has; ``spread``, the part of
        the choices that carry the squared gradient, from nearly 0 (one of them carries it all) to 1.
    """
    rows = grad.detach().float()
    squares = rows.square().sum(-1) if isinstance(innermost(q), OneHotCategorical) else rows.square()
    total = squares.sum()
    spread = total**2 / (squares.square().sum() * squares.numel())
    return {
        "gradient": math.sqrt(float(squares.mean())) if math.isfinite(float(total)) else math.nan,
        "peak": math.sqrt(float(squares.max())) if math.isfinite(float(total)) else math.nan,
        "spread": float(spread) if float(total) > 0 else 0.0,
    }


def _entropy(p: Tensor) -> Tensor:
    return torch.special.entr(p).sum(-1)
