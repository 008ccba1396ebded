"""The pieces from which a loss with a given value and a given gradient is made."""

from __future__ import annotations

from typing import Any

import torch

from drawgrad._typing import Tensor
from drawgrad.estimators.registry import names
from drawgrad.functional import differentiable_once
from drawgrad.kernels.state import apply_of

__all__ = [
    "excess",
    "finite",
    "first_order",
    "gradient_only",
    "no_second",
    "score_loss",
    "scored",
    "spread",
    "sum_variables",
    "with_gradient",
]


def sum_variables(values: Tensor, costs: Tensor) -> Tensor:
    """Sum values ``(samples, *batch, ...)`` over all but the dimensions of ``costs``, ``(samples, *lead)``.

    Example:
        >>> import torch
        >>> sum_variables(torch.ones(4, 5, 3), torch.zeros(4, 5)).shape
        torch.Size([4, 5])
    """
    return values.flatten(costs.dim()).sum(-1) if values.dim() > costs.dim() else values


def spread(values: Tensor, like: Tensor) -> Tensor:
    """Values of shape ``(samples, *lead)`` with as many dimensions as ``like``, ``(samples, *batch, ...)``.

    Example:
        >>> import torch
        >>> spread(torch.ones(4, 5), torch.zeros(4, 5, 3, 2)).shape
        torch.Size([4, 5, 1, 1])
    """
    return values.reshape(*values.shape, *[1] * (like.dim() - values.dim()))


def excess(values: Tensor) -> Tensor:
    """Each of several values, shape ``(samples, ...)``, less the mean of the others.

    Example:
        >>> import torch
        >>> excess(torch.tensor([1.0, 2.0, 6.0]))
        tensor([-3.0000, -1.5000,  4.5000])
    """
    # Without a difference of large sums.
    return (values - values.mean(0)) * (len(values) / (len(values) - 1))


def finite(values: Tensor) -> Tensor:
    """The values, with zeros in the place of those that are infinite or NaN.

    Example:
        >>> import torch
        >>> finite(torch.tensor([1.0, torch.inf, torch.nan]))
        tensor([1., 0., 0.])
    """
    return torch.where(values.isfinite(), values, 0.0)


def gradient_only(values: Tensor) -> Tensor:
    """Zeros with the gradient of ``values``.

    Unlike ``values - values.detach()`` it is zero where a value is infinite.

    Example:
        >>> import torch
        >>> x = torch.tensor(3.0, requires_grad=True)
        >>> zero = gradient_only(x**2)
        >>> zero.item(), torch.autograd.grad(zero, x)[0].item()
        (0.0, 6.0)
    """
    return _zeros_with_gradient(values)


def first_order(values: Tensor, costs: Tensor) -> Tensor:
    """Zeros with the gradient of ``values``, which is a formula: to differentiate it again is an error.

    Args:
        values: attached to the parameters of q, with coefficients that were computed without a graph.
        costs: what the coefficients were computed from.

    Raises:
        RuntimeError: in a second backward pass.

    Example:
        >>> import torch
        >>> x = torch.tensor(3.0, requires_grad=True)
        >>> torch.autograd.grad(first_order(2 * x, x**2), x)[0]
        tensor(2.)
    """
    return gradient_only(differentiable_once(values, no_second, costs))


def no_second() -> str:
    """The refusal to differentiate the gradient of an estimator whose second derivatives would be wrong."""
    return (
        "the gradient of this estimator is a formula without second derivatives; use one that has them: "
        f"{', '.join(names(lambda cls: cls.twice_differentiable))}"
    )


def scored(costs: Tensor, score: Tensor) -> Tensor:
    """Zeros that stand for ``f (q_theta(D) / q(D) - 1)``: their derivatives of any order are the score function's.

    The first one is f times that of the score; the second one has the outer product of the score with itself, and that
    of the score with the derivative of f, as an unbiased estimate needs.

    Args:
        costs: f, any shape; a baseline is subtracted already, if there is one.
        score: log-probabilities of the samples, of the same shape.

    Example:
        >>> import torch
        >>> score = torch.tensor(-0.7, requires_grad=True)
        >>> (first,) = torch.autograd.grad(scored(torch.tensor(3.0), score), score, create_graph=True)
        >>> first.item(), torch.autograd.grad(first, score)[0].item()
        (3.0, 3.0)

    References:
        Foerster, Farquhar, Al-Shedivat, Rocktäschel, Xing, Whiteson. DiCE: the infinitely differentiable Monte Carlo
        estimator. ICML 2018.
    """
    return _zeros_that_score(costs, score)


def score_loss(costs: Tensor, signal: Tensor, score: Tensor, weights: Tensor | None = None) -> Tensor:
    r"""A loss of value sum_s w_s f_s and gradient sum_s w_s (signal_s \nabla score_s + \nabla f_s).

    Args:
        costs: f, shape ``(samples, *lead)``, with the graph of everything that the cost closes over.
        signal: the costs less a baseline, like ``costs``; no gradient reaches it.
        score: log-probabilities of the samples, like ``costs``, attached to the parameters of q.
        weights: like ``costs``; 1/samples each if None. A sample of weight zero may have any cost, an infinite one too.

    Returns:
        The loss, shape ``lead``. Its further derivatives are unbiased, as far as the first one is.

    Example:
        >>> import torch
        >>> score = torch.tensor([-0.7, -0.7], requires_grad=True)
        >>> costs = torch.tensor([1.0, 3.0])
        >>> loss = score_loss(costs, costs - costs.mean(), score)
        >>> loss.item(), torch.autograd.grad(loss, score)[0].tolist()
        (2.0, [-0.5, 0.5])
    """
    # The signal's value with the derivatives of the costs: those of a baseline have mean zero.
    signal = signal.detach() + gradient_only(costs)
    if weights is None:
        return (costs + scored(signal, score)).mean(0)
    weights = weights.detach().to(costs.dtype)
    none = weights == 0
    factor = torch.where(none, 0.0, weights * signal)
    return (torch.where(none, 0.0, weights * costs) + scored(factor, score)).sum(0)


def with_gradient(costs: Tensor, gradient: Tensor, logits: Tensor) -> Tensor:
    """The mean of the costs, with a given gradient for the logits.

    Args:
        costs: costs of hard samples, shape ``(any, *lead)``; what they close over gets its gradient from their mean.
        gradient: estimates of the gradient for the logits, shape ``(samples, *logits)``, detached.
        logits: shape ``(*batch, k)`` or ``(*batch,)``.

    Returns:
        Loss, shape ``lead``.

    Example:
        >>> import torch
        >>> logits = torch.zeros(3, requires_grad=True)
        >>> loss = with_gradient(torch.tensor([4.0]), torch.tensor([[0.1, 0.2, -0.3]]), logits)
        >>> loss.item(), torch.autograd.grad(loss, logits)[0]
        (4.0, tensor([ 0.1000,  0.2000, -0.3000]))
    """
    product = gradient.mean(0).to(logits.dtype) * logits
    # The value of the product may be NaN, where a logit is -inf and its gradient zero; only its gradient is used.
    along = first_order(sum_variables(product[None], costs), costs)[0]
    return costs.mean(0) + along.to(costs.dtype)


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


class _Scored(torch.autograd.Function):
    generate_vmap_rule = True

    @staticmethod
    def forward(costs: Tensor, score: Tensor) -> Tensor:
        return torch.zeros_like(costs)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor, Tensor], output: Tensor) -> None:
        ctx.save_for_backward(*inputs)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, Tensor]:
        costs, score = ctx.saved_tensors
        grad = grads[0]
        if not _may_go_on():
            return None, grad * costs.to(grad.dtype)
        return grad * scored(torch.ones_like(costs), score), grad * (costs + scored(costs, score)).to(grad.dtype)


_zeros_with_gradient, _zeros_that_score = map(apply_of, (_GradientOnly, _Scored))


def _may_go_on() -> bool:
    """Whether a backward pass is recorded, so that its result may be differentiated again."""
    return torch.is_grad_enabled() and not torch.compiler.is_compiling()
