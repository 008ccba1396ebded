"""A distribution many times over, each copy with parameters of its own: one backward pass, many gradients."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from drawgrad.variables import Distributions, variables_of

__all__ = ["Replicas", "flattened", "replicate"]


@dataclass(frozen=True)
class Replicas:
    """Copies of a distribution.

    Attributes:
        q: batch shape ``(copies, *batch)``.
        parameters: leaves that require a gradient, each of shape ``(copies, ...)``.
    """

    q: Distributions
    parameters: tuple[Tensor, ...]

    def gradients(self, loss: Tensor) -> Tensor:
        """The gradients of a loss, summed over all copies, for each copy's parameters, ``(copies, parameters)``.

        Parameters that it does not depend on have gradient zero.
        """
        found = torch.autograd.grad(loss, self.parameters, allow_unused=True)
        rows = [
            (torch.zeros_like(leaf) if grad is None else grad).reshape(len(leaf), -1)
            for leaf, grad in zip(self.parameters, found, strict=True)
        ]
        return torch.cat(rows, 1)


def replicate(q: Distributions, copies: int) -> Replicas:
    """Copy a distribution along a new first dimension of its batch.

    Args:
        q: any distribution that is made of the parameters that its variable names.
        copies: how many.

    Returns:
        The copies. The parameters of discrete ones are their logits, also if they were made of ``probs``; those of
        others are what they were made of, in the order of their names.

    Raises:
        TypeError: if the distribution cannot be made anew from its parameters.
    """
    parameters = variables_of(q).parameters
    return _made(q, {name: value.expand(copies, *value.shape) for name, value in parameters.items()})


def flattened(q: Distributions, factors: Tensor) -> Replicas | None:
    """Copies between the uniform distribution, for a factor of 0, and ``q``, for one of 1; None if there are none."""
    parameters = variables_of(q).flattened(factors)
    return None if parameters is None else _made(q, parameters)


def _made(q: Distributions, parameters: dict[str, Tensor]) -> Replicas:
    leaves = {name: value.detach().clone().requires_grad_() for name, value in parameters.items()}
    return Replicas(variables_of(q).remade(leaves), tuple(leaves.values()))
