"""Reparameterization by implicit differentiation: a gradient for samples, from their distribution function alone."""

from __future__ import annotations

from collections.abc import Callable

import torch

from drawgrad._checks import check_floating
from drawgrad._typing import Float, Tensor
from drawgrad.functional.surrogate import differentiable_once

__all__ = ["implicit_sample"]


def implicit_sample(sample: Float[Tensor, "*shape"], cdf: Callable[[Tensor], Tensor]) -> Float[Tensor, "*shape"]:
    r"""Give samples the gradient that they have as functions of the parameters, with their noise F(x) held fixed.

    .. math:: \frac{\partial x}{\partial \theta} = -\frac{\partial F(x; \theta) / \partial \theta}{p(x; \theta)}, \qquad
        p(x; \theta) = \partial F(x; \theta) / \partial x

    It needs neither the inverse of F nor to know how the samples were drawn. Several numbers that depend on each other
    are reparameterized one after the other, each by its distribution given those before, which carry their gradient
    already.

    Args:
        sample: samples of the distribution, from any sampler; their own gradient is cut.
        cdf: the distribution function F of each element, differentiable in the parameters that it closes over and in
            its argument, on whose other elements a result must not depend.

    Returns:
        The samples, to the last bit, with the gradient. Where the density is zero there is none.

    Raises:
        TypeError: if the samples are not of a floating dtype, or ``cdf`` does not return a tensor.
        ValueError: if ``cdf`` returns another shape, or does not depend on its argument.
        RuntimeError: if the gradient is differentiated once more: it holds the density at the sample fixed.

    Example:
        >>> import torch
        >>> rate = torch.tensor(2.0, requires_grad=True)
        >>> x = implicit_sample(torch.tensor([0.5, 1.0]), lambda x: 1 - torch.exp(-rate * x))
        >>> x.sum().backward()
        >>> rate.grad  # x = E / rate with E held fixed, so the derivative is -x / rate
        tensor(-0.7500)

    References:
        Figurnov, Mohamed, Mnih. Implicit reparameterization gradients. NeurIPS 2018.
        Graves. Stochastic backpropagation through mixture density distributions. 2016 (one number after the other).
    """
    check_floating(sample, "sample")
    if not torch.is_grad_enabled():
        return sample
    x = sample.detach()
    compiling = torch.compiler.is_compiling()
    point = x if compiling else x.clone().requires_grad_()
    below = cdf(point)
    if not isinstance(below, Tensor):
        raise TypeError(f"cdf must return a tensor, but it returned a {type(below).__name__}; use torch operations")
    if below.shape != x.shape:
        raise ValueError(
            f"cdf must return one probability for each sample, shape {tuple(x.shape)}, but it returned "
            f"{tuple(below.shape)}"
        )
    if compiling:
        # A compiler follows this transform, and no backward pass halfway.
        density = torch.func.grad(lambda at: cdf(at).sum())(x).detach()
    else:
        (density,) = torch.autograd.grad(below.sum(), point, retain_graph=True, allow_unused=True)
    if density is None:
        raise ValueError("cdf must depend on its argument, but no gradient leads there; make it differentiable in it")
    certain = density == 0
    move = (below.detach() - below) / torch.where(certain, 1.0, density)
    return x + differentiable_once(torch.where(certain, 0.0, move).to(x.dtype), _no_second)


def _no_second() -> str:
    return (
        "the gradient of implicit_sample has no derivative of its own, for it holds the density at the sample fixed; "
        "take the first derivative only, or sample through the inverse of the distribution function"
    )
