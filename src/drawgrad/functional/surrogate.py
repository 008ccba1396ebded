"""One value forward, another one's gradient backward; and gradients that are formulas, without a derivative."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

from drawgrad._typing import Float, Tensor
from drawgrad.kernels.state import apply_of

__all__ = ["differentiable_once", "not_differentiable", "straight_through"]


def straight_through(hard: Float[Tensor, "*shape"], soft: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
    """The value of ``hard`` with the gradient of ``soft``.

    Args:
        hard: what the forward pass sees; no gradient reaches it.
        soft: finite tensor of the same shape, which receives the whole gradient.

    Returns:
        ``hard``, to the last bit.

    Raises:
        ValueError: if the shapes differ.
        TypeError: if one of them is no tensor.

    Example:
        >>> import torch
        >>> logits = torch.zeros(3, requires_grad=True)
        >>> z = straight_through(torch.tensor([0.0, 1.0, 0.0]), logits.softmax(-1))
        >>> z
        tensor([0., 1., 0.], grad_fn=<SubBackward0>)

    References:
        Bengio, Leonard, Courville. Estimating or propagating gradients through stochastic neurons. 2013.
    """
    for name, tensor in (("hard", hard), ("soft", soft)):
        if not isinstance(tensor, Tensor):
            raise TypeError(
                f"{name} must be a tensor, but it is of type {type(tensor).__name__}; wrap it in torch.tensor"
            )
    if hard.shape != soft.shape:
        raise ValueError(
            f"hard and soft must have one shape, but they have {tuple(hard.shape)} and {tuple(soft.shape)}; "
            "expand the smaller one"
        )
    # A finite number minus itself is exactly zero, and subtracting zero changes no number, nor the sign of a zero.
    return hard.detach() - (soft.detach() - soft)


def differentiable_once(
    values: Float[Tensor, "*shape"], refusal: Callable[[], str], *sources: Tensor
) -> Float[Tensor, "*shape"]:
    """The same values with their gradient, to differentiate which again is an error.

    For a gradient that is a formula, whose derivative would be silently wrong.

    Args:
        values: attached to what the gradient is for.
        refusal: the words of the error.
        sources: what the gradient was computed from without a graph, besides the values.

    Returns:
        The values.

    Raises:
        RuntimeError: in a second backward pass.

    Example:
        >>> import torch
        >>> x = torch.tensor(3.0, requires_grad=True)
        >>> torch.autograd.grad(differentiable_once(x**2, lambda: "take the first derivative only"), x)[0]
        tensor(6.)
    """
    return _once(values, refusal, *sources)


def not_differentiable(
    gradient: Float[Tensor, "*shape"], refusal: Callable[[], str], *sources: Tensor
) -> Float[Tensor, "*shape"]:
    """A gradient, as the backward pass of a formula returns it, to differentiate which is an error.

    Args:
        gradient: what the backward pass found.
        refusal: the words of the error.
        sources: what it was computed from without a graph.

    Returns:
        The gradient.

    Raises:
        RuntimeError: in a backward pass through it.

    Example:
        >>> import torch
        >>> not_differentiable(torch.ones(2), lambda: "a formula")
        tensor([1., 1.])
    """
    # Only a backward pass that is recorded could be differentiated; compiled code has no second derivatives.
    recorded = torch.is_grad_enabled() and not torch.compiler.is_compiling()
    return _last(gradient, refusal, *sources) if recorded else gradient


class _Once(torch.autograd.Function):
    generate_vmap_rule = True

    @staticmethod
    def forward(values: Tensor, refusal: Callable[[], str], *sources: Tensor) -> Tensor:
        return values.clone()

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
        values, ctx.refusal, *sources = inputs
        ctx.save_for_backward(values, *sources)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        sources = ctx.saved_tensors  # Once: a checkpoint unpacks them once.
        found = not_differentiable(grads[0], ctx.refusal, *sources)
        return (found, *[None] * len(sources))


class _Last(torch.autograd.Function):
    """A gradient that has no derivative, neither for what it belongs to nor for what it was computed from."""

    generate_vmap_rule = True

    @staticmethod
    def forward(gradient: Tensor, refusal: Callable[[], str], *sources: Tensor) -> Tensor:
        return gradient.clone()

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
        ctx.refusal = inputs[1]

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        raise RuntimeError(ctx.refusal())


_once, _last = map(apply_of, (_Once, _Last))
