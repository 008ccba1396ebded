"""Gradients of the fused operators, once for both relaxations.

A relaxation is z = (logits + noise) / tau followed by a link (softmax or sigmoid), and everything its derivatives need
is in its value y: the Jacobian J(y) / tau of the logits is symmetric and made of y, and z is, up to a constant of the
row that J annihilates, the inverse link of y. So the gradient for tau comes from y as well.

The backward operators carry gradients of their own, made of differentiable operations, which is what double backward
runs through.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from drawgrad.kernels import ops
from drawgrad.kernels.operator import Operator
from drawgrad.kernels.reference import compute_dtype

__all__: list[str] = []


@dataclass(frozen=True)
class Relaxation:
    """The operators of one relaxation and the two facts about its link that derivatives need."""

    sample: Operator
    logits_vjp: Operator
    """Gradient for the logits, from logits and seed."""
    sample_vjp: Operator
    """Gradient for the logits, from the sample."""
    inverse_link: Callable[[Tensor], Tensor]
    """z from y, where y is neither 0 nor 1."""
    curvature: Callable[[Tensor, Tensor, Tensor], Tensor]
    """Gradient of <v, J(y) g> for y, as a function of v, g, y."""


def _softmax_curvature(v: Tensor, g: Tensor, y: Tensor) -> Tensor:
    return v * (g - (g * y).sum(-1, keepdim=True)) - g * (v * y).sum(-1, keepdim=True)


def _sigmoid_curvature(v: Tensor, g: Tensor, y: Tensor) -> Tensor:
    return v * g * (1 - 2 * y)


def _reduce_to(gradient: Tensor, tau: Tensor) -> Tensor:
    return gradient.sum() if tau.dim() == 0 else gradient.sum(-1, keepdim=True)


def _register(relaxation: Relaxation) -> None:
    def inverse_link(y: Tensor) -> Tensor:
        y = y.to(compute_dtype(y.dtype))
        inside = (y > 0) & (y < 1)
        return torch.where(inside, relaxation.inverse_link(torch.where(inside, y, 0.5)), 0.0)

    def tau_gradient(logits_gradient: Tensor, y: Tensor, tau: Tensor) -> Tensor:
        return -_reduce_to(logits_gradient.to(tau.dtype) * inverse_link(y), tau)

    def keep_sample(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
        logits, tau, seed, row_offset, class_offset, hard = inputs
        ctx.draw = (seed, row_offset, class_offset)
        ctx.hard = hard
        _keep(ctx, tau, logits if hard else output)

    def sample_backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        tau, kept = _kept(ctx)
        tau_wanted = tau.requires_grad
        if ctx.hard and not tau_wanted:
            logits_gradient = relaxation.logits_vjp(grad, kept, tau, *ctx.draw)
            return logits_gradient, None, None, None, None, None
        y = relaxation.sample(kept, tau, *ctx.draw, False) if ctx.hard else kept
        logits_gradient = relaxation.sample_vjp(grad, y, tau)
        of_tau = tau_gradient(logits_gradient, y, tau) if tau_wanted else None
        return logits_gradient, of_tau, None, None, None, None

    def keep_vjp(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
        grad, like, tau, *draw = inputs
        ctx.draw = tuple(draw)
        _keep(ctx, tau, grad, like)

    def sample_vjp_backward(ctx: Any, v: Tensor) -> tuple[Tensor | None, ...]:
        tau, grad, y = _kept(ctx)
        return _second(v, grad, y, tau)

    def logits_vjp_backward(ctx: Any, v: Tensor) -> tuple[Tensor | None, ...]:
        tau, grad, logits = _kept(ctx)
        y = relaxation.sample(logits, tau, *ctx.draw, False)
        of_grad, of_y, of_tau = _second(v, grad, y, tau)
        of_logits = relaxation.sample_vjp(of_y, y, tau)
        return of_grad, of_logits, of_tau + tau_gradient(of_logits, y, tau), None, None, None

    def _second(v: Tensor, grad: Tensor, y: Tensor, tau: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Gradients of <v, J(y) grad / tau> for grad, y and tau."""
        of_grad = relaxation.sample_vjp(v, y, tau)
        wide_v, wide_grad, wide_y = (tensor.to(tau.dtype) for tensor in (v, grad, y))
        of_y = (relaxation.curvature(wide_v, wide_grad, wide_y) / tau).to(y.dtype)
        of_tau = -_reduce_to(wide_grad * of_grad.to(tau.dtype) / tau, tau)
        return of_grad.to(grad.dtype), of_y, of_tau

    relaxation.sample.differentiate(keep_sample, sample_backward)
    relaxation.sample_vjp.differentiate(keep_vjp, sample_vjp_backward)
    relaxation.logits_vjp.differentiate(keep_vjp, logits_vjp_backward)


def _keep(ctx: Any, tau: Tensor, *tensors: Tensor) -> None:
    """Keep tensors for backward, and the temperature as a tensor only where something is to be learned about it."""
    ctx.tau = None if tau.requires_grad or tau.dim() else tau
    ctx.save_for_backward(*tensors, *(() if ctx.tau is not None else (tau,)))


def _kept(ctx: Any) -> tuple[Tensor, ...]:
    tensors = ctx.saved_tensors
    return (ctx.tau, *tensors) if ctx.tau is not None else (tensors[-1], *tensors[:-1])


_register(Relaxation(ops.gumbel_softmax, ops.gumbel_softmax_vjp, ops.softmax_vjp, torch.log, _softmax_curvature))
_register(Relaxation(ops.binary_concrete, ops.binary_concrete_vjp, ops.sigmoid_vjp, torch.logit, _sigmoid_curvature))
