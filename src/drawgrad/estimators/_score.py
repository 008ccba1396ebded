"""The score function's recipe: costs for the value, a detached signal times the log-probability for the gradient."""

from __future__ import annotations

import torch
from torch import Tensor

from drawgrad.estimators._cost import gradient_only

__all__ = ["score_loss"]


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
