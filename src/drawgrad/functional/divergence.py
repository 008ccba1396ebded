"""KL divergences of discrete variables, from log-probabilities: probabilities themselves would round to zero."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch.nn.functional import logsigmoid

from drawgrad._checks import check_floating
from drawgrad._typing import Float, Tensor
from drawgrad.kernels import log_probs
from drawgrad.kernels.reference import compute_dtype
from drawgrad.kernels.state import carries_tangents, eager_apply, home_of

__all__ = ["bernoulli_kl", "categorical_kl"]

IMPOSSIBLE = -1e30
"""A log-probability below this is that of an outcome that is ruled out."""


def categorical_kl(log_p: Float[Tensor, "*shape k"], log_q: Float[Tensor, "*other k"]) -> Float[Tensor, "..."]:
    r"""The Kullback-Leibler divergence of two categorical distributions over the last dimension.

    .. math:: \mathrm{KL}(p, q) = \sum_i p_i (\log p_i - \log q_i)

    A class with log-probability -inf in p adds nothing, and no gradient passes through it. Where q alone rules out a
    class the divergence is infinite, and no gradient passes through the whole row.

    Args:
        log_p: normalized log-probabilities, shape ``(*batch, k)``; :func:`torch.log_softmax` makes them of logits.
        log_q: likewise, of a shape that broadcasts with ``log_p``.

    Returns:
        Divergence in nats, shape ``(*batch)`` of the two broadcast, float32 at least.

    Raises:
        TypeError: if a tensor is not of a floating dtype.

    Example:
        >>> import torch
        >>> log_p = torch.tensor([0.0, 0.0]).log_softmax(-1)
        >>> categorical_kl(log_p, torch.tensor([0.0, -110.0]).log_softmax(-1))
        tensor(54.3069)

    References:
        Kullback, Leibler. On information and sufficiency. 1951.
    """
    log_p, log_q = _widened(log_p, log_q, "log_p", "log_q")
    if home_of(log_p, log_q) != "cpu" or carries_tangents():
        return _categorical_kl(log_p, log_q)
    result: Tensor = _recorded(log_p, log_q)
    return result


def bernoulli_kl(logits_p: Float[Tensor, "*shape"], logits_q: Float[Tensor, "*other"]) -> Float[Tensor, "..."]:
    r"""The Kullback-Leibler divergence of two Bernoulli distributions, element by element.

    .. math:: \mathrm{KL}(p, q) = p (\log p - \log q) + (1 - p) (\log (1 - p) - \log (1 - q))

    Infinite logits are certain outcomes, which :func:`categorical_kl` treats alike.

    Args:
        logits_p: log-odds of a one, any shape.
        logits_q: likewise, of a shape that broadcasts with ``logits_p``.

    Returns:
        Divergence in nats, of the broadcast shape, float32 at least.

    Raises:
        TypeError: if a tensor is not of a floating dtype.

    Example:
        >>> import torch
        >>> bernoulli_kl(torch.tensor(2.0), torch.tensor(20.0))
        tensor(2.0187)

    References:
        Kullback, Leibler. On information and sufficiency. 1951.
    """
    logits_p, logits_q = _widened(logits_p, logits_q, "logits_p", "logits_q")
    one, ratio_of_ones = _parts(logsigmoid(logits_p), logsigmoid(logits_q))
    zero, ratio_of_zeros = _parts(logsigmoid(-logits_p), logsigmoid(-logits_q))
    excluded = _is_excluded(torch.maximum(ratio_of_ones, ratio_of_zeros))
    return torch.where(excluded, torch.inf, one * ratio_of_ones + zero * ratio_of_zeros)


def _widened(p: Tensor, q: Tensor, name_p: str, name_q: str) -> tuple[Tensor, Tensor]:
    """The two in the dtype in which both are computed."""
    check_floating(p, name_p)
    check_floating(q, name_q)
    wide = compute_dtype(torch.promote_types(p.dtype, q.dtype))
    return p.to(wide), q.to(wide)


def _parts(log_p: Tensor, log_q: Tensor) -> tuple[Tensor, Tensor]:
    """The probability of each outcome and its log-ratio: finite, but beyond measure where one rules it out."""
    return log_p.exp(), log_p.clamp(min=IMPOSSIBLE) - log_q.clamp(min=IMPOSSIBLE)


def _is_excluded(ratio: Tensor) -> Tensor:
    """Whether only the second distribution rules an outcome out, from the log-ratio."""
    return ratio > -IMPOSSIBLE / 2


def _categorical_kl(log_p: Tensor, log_q: Tensor) -> Tensor:
    p, ratio = _parts(log_p, log_q)
    return torch.where(_is_excluded(ratio.amax(-1)), torch.inf, (p * ratio).sum(-1))


def _naive_kl(log_p: Tensor, log_q: Tensor) -> Tensor:
    """The sum as it is written; not finite where an outcome is ruled out."""
    if _are_rows(log_p, log_q):
        return log_probs.divergence(log_p, log_q)
    return (log_p.exp() * (log_p - log_q)).sum(-1)


def _are_rows(log_p: Tensor, log_q: Tensor) -> bool:
    """Whether kernels compute the divergence: the second distributions belong to the last dimensions of the first."""
    return log_probs.has_kernels(log_p, log_q) and log_p.shape[-log_q.dim() :] == log_q.shape


class _CategoricalKL(torch.autograd.Function):
    """The same in fewer operations, which are most of its time where there are few classes."""

    @staticmethod
    def forward(ctx: Any, log_p: Tensor, log_q: Tensor) -> Tensor:
        divergence, ctx.excluded = _naive_kl(log_p, log_q), None
        ctx.possible = math.isfinite(divergence.sum().item())
        if not ctx.possible:  # No outcome is ruled out where the sum of all is finite.
            divergence = _categorical_kl(log_p, log_q)
            ctx.excluded = divergence == torch.inf
        ctx.save_for_backward(log_p, log_q)
        return divergence

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        (grad,), (log_p, log_q) = grads, ctx.saved_tensors
        plain = not torch.is_grad_enabled() and home_of(grad) == "cpu"
        if ctx.possible and plain and _are_rows(log_p, log_q):
            of_p, weighted = log_probs.divergence_vjp(grad, log_p, log_q)
        else:
            p, ratio = _parts(log_p, log_q)
            weighted = (grad if ctx.possible else torch.where(ctx.excluded, 0.0, grad))[..., None] * p
            of_p = torch.addcmul(weighted, weighted, ratio).sum_to_size(log_p.shape)
        return of_p, weighted.sum_to_size(log_q.shape).neg() if ctx.needs_input_grad[1] else None


_recorded = eager_apply(_CategoricalKL)
