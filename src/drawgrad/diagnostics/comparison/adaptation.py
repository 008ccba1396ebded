"""Estimators that learn, brought to where they would be after some steps of training."""

from __future__ import annotations

import copy

import torch
from torch import nn

from drawgrad.diagnostics.comparison.costs import CostFunction
from drawgrad.diagnostics.comparison.gradients import loss_of
from drawgrad.diagnostics.comparison.replicas import replicate
from drawgrad.estimators import Estimator
from drawgrad.variables import Distributions

__all__ = ["adapted"]

LEARNING_RATE = 0.01
COPIES = 16
"""Draws a step, so that fewer steps suffice than in training."""


def adapted(
    estimator: Estimator, cost: CostFunction, q: Distributions, steps: int, generator: torch.Generator
) -> Estimator:
    """An estimator that changes no more: itself if it has no state, else a copy that is adapted and set to ``eval()``.

    The copy takes ``steps`` calls at the same ``q``, with Adam for its parameters, unless it is in evaluation mode
    already.
    """
    if not isinstance(estimator, nn.Module):
        return estimator
    learner = copy.deepcopy(estimator)
    if not learner.state_dict():
        steps = 0  # A network that gets its size from its first call has entries here already.
    optimizer: torch.optim.Optimizer | None = None
    for _ in range(steps if learner.training else 0):
        copies = replicate(q, COPIES)
        loss = loss_of(learner, cost, copies, generator) / COPIES
        if not loss.requires_grad:
            continue
        # A network may get its size, and so its parameters, from its first call; some learn from the backward pass.
        own = [parameter for parameter in learner.parameters() if parameter.requires_grad]
        found = torch.autograd.grad(loss, [*own, *copies.parameters], allow_unused=True)
        if not own:
            continue
        optimizer = optimizer or torch.optim.Adam(own, lr=LEARNING_RATE)
        for parameter, grad in zip(own, found[: len(own)], strict=True):
            parameter.grad = grad
        optimizer.step()
    learner.eval()
    return learner
