"""A loss whose gradient for the logits is a tensor that was computed by a formula."""

from __future__ import annotations

from torch import Tensor

from drawgrad.estimators._cost import gradient_only, sum_variables

__all__ = ["spread", "with_gradient"]


def spread(values: Tensor, like: Tensor) -> Tensor:
    """Values of shape ``(samples, *lead)`` with as many dimensions as ``like``, ``(samples, *batch, ...)``."""
    return values.reshape(*values.shape, *[1] * (like.dim() - values.dim()))


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
