"""Softmax, its logarithm and the divergence over the last dimension, by kernels where they are faster than torch.

That is on a CPU, for many rows of few classes: torch goes through the classes of one row after the other, and takes up
to ten times as long where they fill no vector. Elsewhere :func:`softmax` and :func:`log_softmax` are torch's own.
"""

from __future__ import annotations

import functools
from importlib import import_module
from typing import Any

import torch
from torch import Tensor

from drawgrad.kernels import ops
from drawgrad.kernels.state import carries_tangents, eager_apply, home_of

__all__ = ["divergence", "divergence_vjp", "has_kernels", "log_softmax", "softmax"]

FEWEST = 1 << 10
"""Numbers from which a kernel gains more than the way to it takes."""
MOST_CLASSES = 64
"""Classes up to which a divergence by kernels is faster than by torch's operations."""
LANES = 16 if torch.backends.cpu.get_cpu_capability() == "AVX512" else 8
"""Numbers in a vector of torch's."""


def has_kernels(*tensors: Tensor) -> bool:
    """Whether kernels serve rows of these tensors, the first of which is the largest, while torch does what it does."""
    # First who watches: a compiler would hold on to every size that is asked for.
    if home_of(*tensors) != "cpu" or carries_tangents():
        return False
    first = tensors[0]
    return (
        first.numel() >= FEWEST
        and first.shape[-1] <= MOST_CLASSES
        and all(each.dtype is torch.float32 and each.is_contiguous() for each in tensors)
    )


def softmax(scores: Tensor) -> Tensor:
    """``torch.softmax(scores, -1)``."""
    found: Tensor = _softmax(scores) if _is_less_than_a_vector(scores) else scores.softmax(-1)
    return found


def log_softmax(scores: Tensor) -> Tensor:
    """``torch.log_softmax(scores, -1)``."""
    found: Tensor = _log_softmax(scores) if _is_less_than_a_vector(scores) else scores.log_softmax(-1)
    return found


def divergence(log_p: Tensor, log_q: Tensor) -> Tensor:
    """Sum of p (log p - log q) over each row, by kernels; without a derivative.

    Args:
        log_p: served by kernels, as :func:`has_kernels` says.
        log_q: likewise, of the shape of the last dimensions of ``log_p``.

    Returns:
        Of the shape of ``log_p`` without the last dimension. Not finite where a class is impossible, for which there
        is no rule here.
    """
    found: Tensor = _kernels().divergence(log_p, log_q)
    return found


def divergence_vjp(grad: Tensor, log_p: Tensor, log_q: Tensor) -> tuple[Tensor, Tensor]:
    """Of :func:`divergence` where it is finite: the gradient for ``log_p``, and minus each row's for ``log_q``."""
    found: tuple[Tensor, Tensor] = _kernels().divergence_vjp(grad.contiguous(), log_p, log_q)
    return found


def _is_less_than_a_vector(scores: Tensor) -> bool:
    return has_kernels(scores) and scores.shape[-1] < LANES


@functools.cache
def _kernels() -> Any:
    return import_module("drawgrad.kernels.cpu.log_probs")


class _Softmax(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, scores: Tensor) -> Tensor:
        probs: Tensor = _kernels().softmax(scores)
        ctx.save_for_backward(probs)
        return probs

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> Tensor:
        found: Tensor = ops.softmax_vjp(grads[0], *ctx.saved_tensors, 1.0)
        return found


class _LogSoftmax(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, scores: Tensor) -> Tensor:
        log_p: Tensor = _kernels().log_softmax(scores)
        ctx.save_for_backward(log_p)
        return log_p

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> Tensor:
        (grad,), (log_p,) = grads, ctx.saved_tensors
        # What was kept may have been changed by hooks, and what comes from above may be anything.
        if torch.is_grad_enabled() or home_of(grad) != "cpu" or not has_kernels(log_p):
            return grad - log_p.exp() * grad.sum(-1, keepdim=True)
        found: Tensor = _kernels().log_softmax_vjp(grad.contiguous(), log_p)
        return found


_softmax, _log_softmax = eager_apply(_Softmax), eager_apply(_LogSoftmax)
