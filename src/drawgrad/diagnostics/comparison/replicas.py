"""A distribution many times over, each copy with parameters of its own: one backward pass, many gradients."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.distributions import Bernoulli, Distribution, Independent, OneHotCategorical

__all__ = ["Replicas", "replicate"]


@dataclass(frozen=True)
class Replicas:
    """Copies of a distribution.

    Attributes:
        q: batch shape ``(copies, *batch)``.
        parameters: leaves that require a gradient, each of shape ``(copies, ...)``.
    """

    q: Distribution
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


def replicate(q: Distribution, copies: int) -> Replicas:
    """Copy a distribution along a new first dimension of its batch.

    Args:
        q: any distribution that is made of the parameters it names, also inside ``Independent``.
        copies: how many.

    Returns:
        The copies. The parameters of discrete ones are their logits, also if they were made of ``probs``; those of
        others are what they were made of, in the order of their names.

    Raises:
        TypeError: if the distribution cannot be made anew from its parameters.
    """
    if isinstance(q, Independent):
        base = replicate(q.base_dist, copies)
        return Replicas(Independent(base.q, q.reinterpreted_batch_ndims, validate_args=False), base.parameters)
    names = ["logits"] if isinstance(q, OneHotCategorical | Bernoulli) else _made_of(q)
    leaves = {name: _leaves(getattr(q, name), copies) for name in names}
    make: Callable[..., Distribution] = type(q)
    try:
        made = make(**leaves, validate_args=False)
    except (TypeError, ValueError) as error:
        raise _unknown(q, f"{type(q).__name__}({', '.join(names)}) is no way to make one") from error
    if made.batch_shape != (copies, *q.batch_shape):
        raise _unknown(q, f"made of {', '.join(names)} it has batch shape {tuple(made.batch_shape)}")
    return Replicas(made, tuple(leaves.values()))


def _made_of(q: Distribution) -> list[str]:
    """The names of the parameters that a distribution holds, rather than derives on demand."""
    try:
        names = sorted(name for name in q.arg_constraints if isinstance(vars(q).get(name), Tensor))
    except NotImplementedError:
        names = []
    if not names:
        raise _unknown(q, "it holds no parameters")
    return names


def _leaves(parameter: Tensor, copies: int) -> Tensor:
    return parameter.detach().expand(copies, *parameter.shape).clone().requires_grad_()


def _unknown(q: Distribution, reason: str) -> TypeError:
    return TypeError(
        f"q must be a distribution that can be made anew from its parameters, but {reason} ({type(q).__name__}); use "
        "one of torch's basic distributions, such as OneHotCategorical, Bernoulli or Normal"
    )
