"""KL divergences of discrete variables, from log-probabilities: probabilities themselves would round to zero."""

from __future__ import annotations

import torch
from torch.nn.functional import logsigmoid

from drawgrad._checks import check_floating
from drawgrad._typing import Float, Tensor
from drawgrad.kernels.reference import compute_dtype

__all__ = ["bernoulli_kl", "categorical_kl"]


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
    terms, excluded = _terms(log_p, log_q)
    return torch.where(excluded.any(-1), torch.inf, terms.sum(-1))


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
    of_one, no_one = _terms(logsigmoid(logits_p), logsigmoid(logits_q))
    of_zero, no_zero = _terms(logsigmoid(-logits_p), logsigmoid(-logits_q))
    return torch.where(no_one | no_zero, torch.inf, of_one + of_zero)


def _widened(p: Tensor, q: Tensor, name_p: str, name_q: str) -> tuple[Tensor, Tensor]:
    """The two in the dtype in which both are computed."""
    check_floating(p, name_p)
    check_floating(q, name_q)
    wide = compute_dtype(torch.promote_types(p.dtype, q.dtype))
    return p.to(wide), q.to(wide)


def _terms(log_p: Tensor, log_q: Tensor) -> tuple[Tensor, Tensor]:
    """The term of each outcome, zero where it would be no number, and whether only the second rules the outcome out."""
    possible = log_p > -torch.inf
    excluded = possible & (log_q == -torch.inf)
    ratio = torch.where(possible & ~excluded, log_p - log_q, 0.0)
    # A NaN of log_p is not possible either, but exp carries it on.
    return log_p.exp() * ratio, excluded
