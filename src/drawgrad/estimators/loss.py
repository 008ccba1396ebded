"""The pieces from which a loss with a given value and a given gradient is made."""

from __future__ import annotations

from typing import Any

import torch

from drawgrad._typing import Tensor

__all__ = ["gradient_only", "score_loss", "spread", "sum_variables", "with_gradient"]


def sum_variables(values: Tensor, costs: Tensor) -> Tensor:
    """Sum values ``(samples, *batch, ...)`` over all but the dimensions of ``costs``, ``(samples, *lead)``."""
    return values.flatten(costs.dim()).sum(-1) if values.dim() > costs.dim() else values


def spread(values: Tensor, like: Tensor) -> Tensor:
    """Values of shape ``(samples, *lead)`` with as many dimensions as ``like``, ``(samples, *batch, ...)``."""
    return values.reshape(*values.shape, *[1] * (like.dim() - values.dim()))


def gradient_only(values: Tensor) -> Tensor:
    """Zeros with the gradient of ``values``.

    Unlike ``values - values.detach()`` it is zero where a value is infinite.

    Example:
        >>> import torch
        >>> x = torch.tensor(3.0, requires_grad=True)
        >>> zero = gradient_only(x**2)
        >>> zero.item(), torch.autograd.grad(zero, x)[0].item()
        (0.0, 6.0)
    """
    return _GradientOnly.apply(values)


def score_loss(costs: Tensor, signal: Tensor, score: Tensor, weights: Tensor | None = None) -> Tensor:
    r"""A loss of value sum_s w_s f_s and gradient sum_s w_s (signal_s \nabla score_s + \nabla f_s).

    Args:
        costs: f, shape ``(samples, *lead)``, with the graph of everything that the cost closes over.
        signal: the costs less a baseline, like ``costs``; no gradient reaches it.
        score: log-probabilities of the samples, like ``costs``, attached to the parameters of q.
        weights: like ``costs``; 1/samples each if None. A sample of weight zero may have any cost, an infinite one too.

    Returns:
        The loss, shape ``lead``.
    """
    signal = signal.detach()
    if weights is None:
        return (costs + gradient_only(signal * score)).mean(0)
    weights = weights.detach().to(costs.dtype)
    none = weights == 0
    factor = torch.where(none, 0.0, weights * signal)
    return (torch.where(none, 0.0, weights * costs) + gradient_only(factor * score)).sum(0)


def with_gradient(costs: Tensor, gradient: Tensor, logits: Tensor) -> Tensor:
    """The mean of the costs, with a given gradient for the logits.

    Args:
        costs: costs of hard samples, shape ``(any, *lead)``; what they close over gets its gradient from their mean.
        gradient: estimates of the gradient for the logits, shape ``(samples, *logits)``, detached.
        logits: shape ``(*batch, k)`` or ``(*batch,)``.

    Returns:
        Loss, shape ``lead``.
    """
    product = gradient.mean(0).to(logits.dtype) * logits
    # The value of the product may be NaN, where a logit is -inf and its gradient zero; only its gradient is used.
    along = gradient_only(sum_variables(product[None], costs))[0]
    return costs.mean(0) + along.to(costs.dtype)


class _GradientOnly(torch.autograd.Function):
    generate_vmap_rule = True

    @staticmethod
    def forward(values: Tensor) -> Tensor:
        return torch.zeros_like(values)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor], output: Tensor) -> None:
        pass

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> Tensor:
        return grads[0]
