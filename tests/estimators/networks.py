"""Small networks and proposals for the score function, the same in every test."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.distributions import Bernoulli, Distribution, Independent, OneHotCategorical

from drawgrad.variables import OneHot, variables_of

__all__ = ["MeanFeature", "flatter"]


class MeanFeature(nn.Module):
    """An affine function of the mean input, for inputs of any size."""

    def __init__(self) -> None:
        super().__init__()
        self.slope = nn.Parameter(torch.tensor(0.7, dtype=torch.float64))
        self.offset = nn.Parameter(torch.tensor(-0.3, dtype=torch.float64))

    def forward(self, inputs: Tensor) -> Tensor:
        """Shape ``(..., features)`` to ``(..., 1)``."""
        return self.slope * inputs.mean(-1, keepdim=True) + self.offset


def flatter(q: Distribution) -> Distribution:
    """The same distribution at a temperature of 1.5, to draw from."""
    if isinstance(q, Independent):
        return Independent(flatter(q.base_dist), q.reinterpreted_batch_ndims)
    variable = variables_of(q)
    family = OneHotCategorical if isinstance(variable, OneHot) else Bernoulli
    return family(logits=variable.logits.detach() / 1.5, validate_args=False)
