"""A model beside the average of its weights over the steps of a training, which does better than the last of them."""

from __future__ import annotations

import copy
from typing import Generic, TypeVar

import torch
from torch import nn

from drawgrad._typing import Tensor

__all__ = ["DECAY", "Averaged"]

Model = TypeVar("Model", bound=nn.Module)

DECAY = 0.998
"""Of the average at every step, once there have been many."""


class Averaged(nn.Module, Generic[Model]):
    """A model that is trained, and the exponential average of its weights.

    Args:
        model: The model.

    Attributes:
        model: The model.
        average: One like it with the average.

    References:
        Polyak and Juditsky, "Acceleration of stochastic approximation by averaging", SIAM J. Control Optim., 1992.
    """

    steps: Tensor

    def __init__(self, model: Model) -> None:
        super().__init__()
        self.model = model
        self.average = copy.deepcopy(model).requires_grad_(False)
        self.register_buffer("steps", torch.zeros((), dtype=torch.float64))

    def follow(self) -> None:
        """Move the average towards the weights: at first it is that of all steps, so that none is there for long."""
        share = max(1 - DECAY, 10 / (10 + float(self.steps)))
        self.steps += 1
        for average, weight in zip(self.average.parameters(), self.model.parameters(), strict=True):
            average.lerp_(weight.detach(), share)
