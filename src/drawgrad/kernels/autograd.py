"""Derivatives of the fused operators, once for both relaxations, backward and forward.

A relaxation is z = (logits + noise) / tau followed by a link (softmax or sigmoid), and everything its derivatives need
is in its value y: the Jacobian J(y) / tau of the logits is symmetric and made of y, and z is, up to a constant of the
row that J annihilates, the inverse link of y. So the gradient for tau comes from y as well, and what maps a gradient of
y to one of the logits maps a tangent of the logits to one of y.

The backward operators have derivatives of their own, made of differentiable operations, which is what double backward
and Hessians run through.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from drawgrad.kernels import ops, reference
from drawgrad.kernels.operator import Operator
from drawgrad.kernels.reference import compute_dtype
from drawgrad.kernels.state import carries_tangents

__all__ = ["BINARY", "CATEGORICAL", "Relaxation"]

Draw = tuple[Any, int, int]
"""Seed, number of the first row, number of the first class."""
Tangent = Tensor | None


@dataclass(frozen=True)
class Relaxation:
    """The operators of one relaxation and the facts about its link that derivatives need."""

    sample: Operator
    logits_vjp: Operator
    """Gradient for the logits, from logits and seed."""
    sample_vjp: Operator
    """Gradient for the logits, from the sample."""
    inverse: Callable[[Tensor], Tensor]
    """z from y, where y is neither 0 nor 1."""
    slope: Callable[[Tensor, Tensor, Tensor], Tensor]
    """Tangent of J(y) g for the tangent v of y, as a function of v, g, y."""
    curvature: Callable[[Tensor, Tensor, Tensor], Tensor]
    """Gradient of <v, J(y) g> for y, as a function of v, g, y."""

    def gradients(
        self, grad: Tensor, logits: Tensor, tau: Tensor | float, draw: Draw, of_tau: bool
    ) -> tuple[Tensor, Tensor | None]:
        """Gradients for logits and temperature of the soft sample that the logits define, if ``grad`` is its own."""
        if not of_tau:
            return self.logits_vjp(grad, logits, tau, *draw), None
        # In the dtype of the computation: a narrow sample would not tell z near 0 and 1.
        y = self.sample(logits.to(compute_dtype(logits.dtype)), tau, *draw, False)
        of_logits = self.sample_vjp(grad, y, tau)
        return of_logits.to(logits.dtype), self.tau_gradient(of_logits, y, tau)

    def tau_gradient(self, of_logits: Tensor, y: Tensor, tau: Tensor | float) -> Tensor | None:
        """Gradient for the temperature, from that for the logits; None if the temperature is a number."""
        if not isinstance(tau, Tensor):
            return None
        return (-wide(of_logits) * self.scaled_scores(y)).sum_to_size(tau.shape)

    def tangent(self, y: Tensor, tau: Tensor | float, of_logits: Tangent, of_tau: Tangent) -> Tensor:
        """Tangent of the sample y, from those of logits and temperature."""
        direction = torch.zeros_like(wide(y)) if of_logits is None else wide(of_logits)
        if of_tau is not None:
            direction = direction - self.scaled_scores(y) * of_tau
        return self.sample_vjp(direction, y, tau)

    def scaled_scores(self, y: Tensor) -> Tensor:
        """z, up to a constant of the row; zero where the sample is certain, so that nothing depends on z."""
        y = wide(y)
        inside = (y > 0) & (y < 1)
        return torch.where(inside, self.inverse(torch.where(inside, y, 0.5)), 0.0)

    def second(self, v: Tensor, grad: Tensor, y: Tensor, tau: Tensor | float) -> tuple[Tensor, Tensor, Tensor | None]:
        """Gradients of <v, J(y) grad / tau> for grad, y and tau."""
        of_grad = self.sample_vjp(v, y, tau)
        of_y = (self.curvature(wide(v), wide(grad), wide(y)) / tau).to(y.dtype)
        of_tau = (-wide(grad) * wide(of_grad) / tau).sum_to_size(tau.shape) if isinstance(tau, Tensor) else None
        return of_grad.to(grad.dtype), of_y, of_tau

    def second_tangent(
        self, grad: Tensor, y: Tensor, tau: Tensor | float, of_grad: Tangent, of_y: Tangent, of_tau: Tangent
    ) -> Tensor:
        """Tangent of J(y) grad / tau, from those of grad, y and tau."""
        tangent = torch.zeros_like(y) if of_grad is None else self.sample_vjp(of_grad, y, tau)
        if of_y is not None:
            reachable = torch.where(y == 0, 0.0, wide(grad))
            tangent = tangent + (self.slope(wide(of_y), reachable, wide(y)) / tau).to(y.dtype)
        if of_tau is not None:
            tangent = tangent - (wide(self.sample_vjp(grad, y, tau)) * of_tau / tau).to(y.dtype)
        return tangent


def wide(tensor: Tensor) -> Tensor:
    """The tensor in the dtype of its computation."""
    return tensor.to(compute_dtype(tensor.dtype))


def _keep(ctx: Any, tau: Tensor | float, *tensors: Tensor) -> None:
    """Keep tensors for the derivatives, and the temperature as a tensor only where something is to be learned of it."""
    ctx.tau = None if isinstance(tau, Tensor) and (tau.requires_grad or tau.dim()) else tau
    kept = tensors if ctx.tau is not None else (*tensors, tau)
    ctx.save_for_backward(*kept)
    if carries_tangents():
        # Not always: what is kept forward is kept alive by itself.
        ctx.save_for_forward(*kept)


def _kept(ctx: Any) -> tuple[Any, ...]:
    tensors = ctx.saved_tensors
    return (ctx.tau, *tensors) if ctx.tau is not None else (tensors[-1], *tensors[:-1])


def _register(relaxation: Relaxation) -> None:
    def keep_sample(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
        logits, tau, *draw, hard = inputs
        ctx.draw = tuple(draw)
        # The gradient of tau needs more digits than a narrow sample has.
        ctx.from_logits = hard or (ctx.needs_input_grad[1] and compute_dtype(output.dtype) != output.dtype)
        _keep(ctx, tau, logits if ctx.from_logits else output)

    def sample_backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        tau, kept = _kept(ctx)
        of_tau = ctx.needs_input_grad[1]
        if ctx.from_logits:
            gradients = relaxation.gradients(grad, kept, tau, ctx.draw, of_tau)
        else:
            of_logits = relaxation.sample_vjp(grad, kept, tau)
            gradients = of_logits, relaxation.tau_gradient(of_logits, kept, tau) if of_tau else None
        return *gradients, None, None, None, None

    def sample_jvp(ctx: Any, of_logits: Tangent, of_tau: Tangent, *_: None) -> Tensor:
        tau, kept = _kept(ctx)
        y = relaxation.sample(kept, tau, *ctx.draw, False) if ctx.from_logits else kept
        return relaxation.tangent(y, tau, of_logits, of_tau)

    def keep_vjp(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
        grad, like, tau, *draw = inputs
        ctx.draw = tuple(draw)
        _keep(ctx, tau, grad, like)

    def sample_vjp_backward(ctx: Any, v: Tensor) -> tuple[Tensor | None, ...]:
        tau, grad, y = _kept(ctx)
        return relaxation.second(v, grad, y, tau)

    def sample_vjp_jvp(ctx: Any, of_grad: Tangent, of_y: Tangent, of_tau: Tangent) -> Tensor:
        tau, grad, y = _kept(ctx)
        return relaxation.second_tangent(grad, y, tau, of_grad, of_y, of_tau)

    def logits_vjp_backward(ctx: Any, v: Tensor) -> tuple[Tensor | None, ...]:
        tau, grad, logits = _kept(ctx)
        y = relaxation.sample(logits, tau, *ctx.draw, False)
        of_grad, of_y, of_tau = relaxation.second(v, grad, y, tau)
        of_logits = relaxation.sample_vjp(of_y, y, tau)
        through_y = relaxation.tau_gradient(of_logits, y, tau)
        if of_tau is not None and through_y is not None:
            of_tau = of_tau + through_y
        return of_grad, of_logits, of_tau, None, None, None

    def logits_vjp_jvp(ctx: Any, of_grad: Tangent, of_logits: Tangent, of_tau: Tangent, *_: None) -> Tensor:
        tau, grad, logits = _kept(ctx)
        y = relaxation.sample(logits, tau, *ctx.draw, False)
        of_y = relaxation.tangent(y, tau, of_logits, of_tau)
        return relaxation.second_tangent(grad, y, tau, of_grad, of_y, of_tau)

    def in_torch_operations(logits: Tensor, tau: Tensor, seed: Tensor, row: int, class_: int, hard: bool) -> Tensor:
        reference_sample = getattr(reference, relaxation.sample.name)
        sample = reference_sample(logits, tau, seed, row, class_, hard)
        if not (hard and torch.is_grad_enabled()):
            return sample
        soft = reference_sample(logits, tau, seed, row, class_, False)
        return sample.detach() - (soft.detach() - soft)

    relaxation.sample.differentiate(keep_sample, sample_backward, sample_jvp, in_torch_operations)
    relaxation.sample_vjp.differentiate(keep_vjp, sample_vjp_backward, sample_vjp_jvp)
    relaxation.logits_vjp.differentiate(keep_vjp, logits_vjp_backward, logits_vjp_jvp)


def _softmax_slope(v: Tensor, g: Tensor, y: Tensor) -> Tensor:
    return v * (g - (g * y).sum(-1, keepdim=True)) - y * (v * g).sum(-1, keepdim=True)


def _softmax_curvature(v: Tensor, g: Tensor, y: Tensor) -> Tensor:
    return v * (g - (g * y).sum(-1, keepdim=True)) - g * (v * y).sum(-1, keepdim=True)


def _sigmoid_slope(v: Tensor, g: Tensor, y: Tensor) -> Tensor:
    return v * g * (1 - 2 * y)


CATEGORICAL = Relaxation(
    ops.gumbel_softmax, ops.gumbel_softmax_vjp, ops.softmax_vjp, torch.log, _softmax_slope, _softmax_curvature
)
BINARY = Relaxation(
    ops.binary_concrete, ops.binary_concrete_vjp, ops.sigmoid_vjp, torch.logit, _sigmoid_slope, _sigmoid_slope
)
for _relaxation in (CATEGORICAL, BINARY):
    _register(_relaxation)
