"""Gradients through a solver: the best answer to perturbed weights, and how it moves with them."""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Callable, Sequence
from typing import Any, Protocol

import torch

from drawgrad._checks import check_count, check_flag, check_floating, check_nonnegative
from drawgrad._typing import Float, Tensor
from drawgrad.functional.seeds import draw_seed

__all__ = ["StepRule", "perturb_and_map", "sum_of_gamma_noise"]


class StepRule(Protocol):
    """How far :func:`perturb_and_map` goes against a gradient, as an object that may learn from what comes of it."""

    @abstractmethod
    def size(self, theta: Tensor, grad: Tensor) -> float | Tensor:
        """The step for weights and a gradient for the answer, both of one shape; it broadcasts to them."""

    @abstractmethod
    def observe(self, gradient: Tensor) -> None:
        """Look at the gradient for the weights that came of it."""


def sum_of_gamma_noise(
    shape: Sequence[int],
    k: int,
    *,
    iterations: int = 10,
    dtype: torch.dtype | None = None,
    device: torch.device | str | None = None,
    generator: torch.Generator | None = None,
    seed: int | Tensor | None = None,
) -> Float[Tensor, "*shape"]:
    r"""Draw noise of which k numbers add up to Gumbel noise: what perturbs the weights of k parts of an answer.

    .. math:: \varepsilon = \frac{1}{k} \Big( \sum_{i=1}^{s} \frac{k}{i}\, G_i - \log s \Big), \qquad
        G_i \sim \mathrm{Gamma}(1/k, 1)

    The sum of k of them tends to a standard Gumbel variable as the number s of terms grows. They are drawn with torch's
    own sampler of Gamma variables, so one seed gives one draw on one kind of device.

    Args:
        shape: shape of the result.
        k: how many parts, from 1 on.
        iterations: s, how many terms.
        dtype: floating dtype; torch's default dtype if None.
        device: torch's default device if None.
        generator: draws the seed; torch's default generator of ``device`` if None.
        seed: the seed itself, an int or a 0-dim int64 tensor, instead of ``generator``.

    Returns:
        Noise of shape ``shape``.

    Raises:
        ValueError: if ``k`` or ``iterations`` is below one, or if ``generator`` and ``seed`` are both given.
        TypeError: if a type is wrong.

    Example:
        >>> noise = sum_of_gamma_noise((50_000, 5), 5, seed=0)
        >>> bool((noise.sum(-1).mean() - 0.577).abs() < 0.1)  # the mean of Gumbel noise
        True

    References:
        Niepert, Minervini, Franceschi. Implicit MLE: backpropagating through discrete exponential family distributions.
        NeurIPS 2021.
    """
    check_count(k, "k", minimum=1)
    check_count(iterations, "iterations", minimum=1)
    dtype = torch.get_default_dtype() if dtype is None else dtype
    # In half precision most of these numbers, whose shape parameter is small, would be zero.
    wide = torch.float64 if dtype == torch.float64 else torch.float32
    drawn = draw_seed(generator=generator, seed=seed, device=device)
    own = torch.Generator(drawn.device).manual_seed(int(drawn) % 2**63)
    order = torch.arange(1, iterations + 1, dtype=wide, device=drawn.device)
    shapes = torch.full((*shape, iterations), 1 / k, dtype=wide, device=drawn.device)
    return ((torch._standard_gamma(shapes, own) * (k / order)).sum(-1) - math.log(iterations)).div(k).to(dtype)


def perturb_and_map(
    theta: Float[Tensor, "*shape"],
    solve: Callable[[Tensor], Tensor],
    *,
    step: float | Float[Tensor, "..."] | StepRule = 1.0,
    tau: float = 1.0,
    k: int = 1,
    symmetric: bool = False,
    generator: torch.Generator | None = None,
    seed: int | Tensor | None = None,
) -> Float[Tensor, "*shape"]:
    r"""Let a solver answer perturbed weights, with the gradient of implicit maximum likelihood (I-MLE).

    .. math:: z = \mathrm{solve}(\theta + \tau \varepsilon), \qquad \frac{\partial}{\partial \theta} =
        \frac{1}{\lambda} \big( \mathrm{solve}(\theta + \tau \varepsilon) -
        \mathrm{solve}(\theta + \tau \varepsilon - \lambda g) \big)

    g is the gradient for z: the second answer is one that the loss likes better. The paper's gradient is that times
    lambda. Backward calls the solver once, or twice if it is symmetric, and needs nothing of it but answers.

    Args:
        theta: weights, of any shape that the solver takes.
        solve: maps weights to the answer z of the largest inner product with them, such as the edges of a shortest path
            for negative lengths, or a matching; of the shape of the weights, all batch dimensions at once.
        step: lambda, a positive number, a tensor that broadcasts to the weights, or an object that sets it.
        tau: what the noise is multiplied with, from 0 on; without noise the answer is that to the weights themselves.
        k: how many parts an answer has, for the noise: :func:`sum_of_gamma_noise`.
        symmetric: whether the gradient is the central difference of two answers, solve(... + lambda g) among them.
        generator: draws the seed; torch's default generator of the weights' device if None.
        seed: the seed itself, an int or a 0-dim int64 tensor, instead of ``generator``.

    Returns:
        The answer, of the shape and dtype of the weights. What is NaN in it, or in the gradient for it, stays where it
        is: other rows are answered as if it were not there, as long as the solver treats rows apart.

    Raises:
        ValueError: if the solver's answer has another shape or device than the weights, if a number breaks its rule, or
            if ``generator`` and ``seed`` are both given.
        TypeError: if ``solve`` cannot be called or does not return a tensor of real numbers, or if a type is wrong.

    Example:
        >>> import torch
        >>> def largest(theta):
        ...     return torch.nn.functional.one_hot(theta.argmax(-1), theta.shape[-1]).to(theta.dtype)
        >>> theta = torch.tensor([0.0, 5.0, 1.0], requires_grad=True)
        >>> z = perturb_and_map(theta, largest, step=10.0, tau=0.0)
        >>> (z * torch.tensor([0.0, 1.0, 0.0])).sum().backward()  # a cost on the second: it should not be taken
        >>> z, theta.grad
        (tensor([0., 1., 0.], grad_fn=<_PerturbAndMapBackward>), tensor([ 0.0000,  0.1000, -0.1000]))

    References:
        Niepert, Minervini, Franceschi. Implicit MLE: backpropagating through discrete exponential family distributions.
        NeurIPS 2021. Minervini, Franceschi, Niepert. Adaptive perturbation-based gradient estimation for discrete
        latent variable models. AAAI 2023 (the symmetric form).
    """
    check_floating(theta, "theta")
    check_flag(symmetric, "symmetric")
    check_nonnegative(tau, "tau")
    if not callable(solve):
        raise TypeError(f"solve must be a function of the weights, but it is {solve!r} ({type(solve).__name__})")
    if isinstance(step, int | float) and not 0 < step < math.inf:
        raise ValueError(f"step must be positive and finite, but it is {step!r}; the scale of the weights is a start")
    noise = torch.zeros_like(theta)
    if tau:
        noise = sum_of_gamma_noise(
            theta.shape, k, dtype=theta.dtype, device=theta.device, generator=generator, seed=seed
        )
    return _PerturbAndMap.apply(theta, tau * noise, solve, step, symmetric)


def _answer(solve: Callable[[Tensor], Tensor], theta: Tensor) -> Tensor:
    """What the solver returns, checked."""
    with torch.no_grad():
        z = solve(theta)
    if not isinstance(z, Tensor):
        raise TypeError(
            f"solve must return a tensor of the shape of the weights, {tuple(theta.shape)}, but it returned a "
            f"{type(z).__name__}; convert it with torch.as_tensor"
        )
    if z.shape != theta.shape or z.device != theta.device:
        raise ValueError(
            f"solve must return a tensor of the shape and on the device of the weights, {tuple(theta.shape)} on "
            f"{theta.device}, but it returned {tuple(z.shape)} on {z.device}; give one number for each weight, such as "
            "1 where it is part of the answer and 0 elsewhere"
        )
    if z.is_complex():
        raise TypeError(f"solve must return real numbers, but their dtype is {z.dtype}; return one of {theta.dtype}")
    return z.to(theta.dtype)


class _PerturbAndMap(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, theta: Tensor, noise: Tensor, solve: Any, step: Any, symmetric: bool) -> Tensor:
        z = _answer(solve, theta + noise)
        ctx.save_for_backward(theta, noise, z)
        ctx.options = solve, step, symmetric
        return z.clone()

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        theta, noise, z = ctx.saved_tensors
        solve, step, symmetric = ctx.options
        size = step if isinstance(step, int | float | Tensor) else step.size(theta, grad)
        move = size * grad
        better = _answer(solve, theta + noise - move)
        worse = _answer(solve, theta + noise + move) if symmetric else z
        found = (worse - better) / (2 * size if symmetric else size)
        # Where nothing moves, the step is of no size.
        found = torch.where(worse == better, 0.0, found)
        if not isinstance(step, int | float | Tensor):
            step.observe(found)
        return found, None, None, None, None
