"""The user's cost, checked, and the pieces from which a loss with a given value and a given gradient is made."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from drawgrad.estimators._registry import ESTIMATORS

__all__ = ["Cost", "gradient_only", "needs_gradient_of", "sum_variables"]


class Cost:
    """A cost function whose results are checked: ``costs = cost(z)`` as the user's own, or a clear error.

    Args:
        function: maps ``z`` of shape ``(samples, *batch, *event)`` to costs ``(samples, *lead)``.
        batch_shape: batch shape of ``q``; ``lead`` must be a prefix of it.
    """

    def __init__(self, function: Callable[[Tensor], Tensor], batch_shape: Sequence[int]) -> None:
        self.function = function
        self.batch_shape = tuple(batch_shape)

    def __call__(self, z: Tensor) -> Tensor:
        """Costs of the samples ``z``, shape ``(samples, *lead)``."""
        costs = self.function(z)
        if not isinstance(costs, Tensor):
            raise TypeError(f"cost must return a tensor, but it returned {type(costs).__name__}; use torch operations")
        if not costs.is_floating_point():
            raise TypeError(f"cost must return floating-point numbers, but their dtype is {costs.dtype}; use .float()")
        lead = tuple(costs.shape[1:])
        if costs.dim() == 0 or costs.shape[0] != z.shape[0] or lead != self.batch_shape[: len(lead)]:
            raise ValueError(self._wrong_shape(z, costs))
        return costs

    def gradient(self, z: Tensor, name: str) -> tuple[Tensor, Tensor]:
        """Costs of ``z``, shape ``(samples, *lead)``, and their gradient for ``z``, like ``z``; no graph is kept.

        Nothing that the cost closes over receives a gradient.
        """
        with torch.enable_grad():
            z = z.detach().requires_grad_()
            costs = self(z)
            found = torch.autograd.grad(costs.sum(), z, allow_unused=True)[0] if costs.requires_grad else None
        if found is None:
            raise ValueError(needs_gradient_of("cost", name))
        return costs.detach(), found

    def through(self, z: Tensor, name: str) -> Tensor:
        """Costs of samples that carry a gradient, shape ``(samples, *lead)``, after a look whether it gets through."""
        costs = self(z)
        if z.requires_grad and torch.is_grad_enabled() and not _leads_to(costs, z):
            raise ValueError(needs_gradient_of("result of the cost", name))
        return costs

    def _wrong_shape(self, z: Tensor, costs: Tensor) -> str:
        samples = int(z.shape[0])
        expected = [(samples, *self.batch_shape[:lead]) for lead in range(len(self.batch_shape) + 1)]
        return (
            f"cost must return one number a sample, shape (samples, *lead) with lead a prefix of q.batch_shape = "
            f"{self.batch_shape}: {' or '.join(map(str, expected))} for z of shape {tuple(z.shape)}, but it returned "
            f"shape {tuple(costs.shape)}; sum over the event and over the variables that share a cost, not over samples"
        )


def needs_gradient_of(what: str, name: str) -> str:
    """The message for a cost through which no gradient reaches the sample."""
    others = sorted(other for other, cls in ESTIMATORS.items() if not cls.needs_cost_gradient)
    return (
        f"{name} needs the gradient of the cost, but no gradient leads from the {what} to the sample z; make the cost "
        f"differentiable in z (no argmax, rounding, detach or no_grad on the way), or use an estimator that needs the "
        f"values only: {', '.join(others)}"
    )


def sum_variables(values: Tensor, costs: Tensor) -> Tensor:
    """Sum values ``(samples, *batch, ...)`` over all but the dimensions of ``costs``, ``(samples, *lead)``."""
    return values.flatten(costs.dim()).sum(-1) if values.dim() > costs.dim() else values


class _GradientOnly(torch.autograd.Function):
    generate_vmap_rule = True

    @staticmethod
    def forward(values: Tensor) -> Tensor:
        return torch.zeros_like(values)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor], output: Tensor) -> None:
        pass

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> Tensor:
        return grads[0]


def gradient_only(values: Tensor) -> Tensor:
    """Zeros with the gradient of ``values``.

    Unlike ``values - values.detach()`` it is zero where a value is infinite.
    """
    return _GradientOnly.apply(values)


def _leads_to(result: Tensor, z: Tensor) -> bool:
    """Whether the gradient of ``result`` reaches ``z``."""
    if torch.compiler.is_compiling():
        return True  # A graph under construction cannot be searched; the eager run has the check.
    target = z.grad_fn
    seen = set()
    stack = [result.grad_fn]
    while stack:
        node = stack.pop()
        if node is target:
            return True
        if node is None or node in seen:
            continue
        seen.add(node)
        stack.extend(parent for parent, _ in node.next_functions)
    return False
