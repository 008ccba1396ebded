"""Permutations with a gradient, for any number of rows: the best assignment of noisy scores, and its relaxation."""

from __future__ import annotations

import torch
from torch.distributions import constraints
from torch.types import _size

from drawgrad._checks import check_flag, check_floating, check_temperature
from drawgrad._typing import Float, Tensor
from drawgrad.distributions._base import Expandable, Seeded
from drawgrad.distributions._numerics import scalar, wide_dtype
from drawgrad.functional import gumbel_sinkhorn

__all__ = ["GumbelSinkhorn"]


class GumbelSinkhorn(Seeded, Expandable):
    r"""Doubly stochastic matrices near a random permutation, or the permutation itself with their gradient.

    .. math:: P = \mathrm{Sinkhorn}((S + G) / \tau), \qquad G_{ij} \sim \mathrm{Gumbel}(0, 1)

    With ``hard=True`` samples are the permutation of the largest total score with its noise, and the gradient is that
    of P, which is biased. Neither has a density in closed form, so there is no ``log_prob``: estimators that go through
    the sample take this distribution, and those that need probabilities take ``GibbsPermutation``.

    Args:
        temperature: the temperature, positive: a number, or a tensor of shape ``()`` that gets a gradient.
        scores: what it is worth to match a row with a column, shape ``(*batch, n, n)``; -inf is a pair that never
            occurs.
        hard: whether samples are permutations, found by SciPy.
        max_iterations: how many times rows and columns are normalized at most; low temperatures need many.
        validate_args: not used; there is no value to check before noise is drawn.

    Raises:
        ValueError: if the temperature is a number that is not positive and finite.
        TypeError: if a dtype or type is wrong.

    Example:
        >>> import torch
        >>> q = GumbelSinkhorn(1.0, torch.zeros(3, 3, requires_grad=True), hard=True)
        >>> P = q.rsample(seed=0)
        >>> P.sum(0), P.requires_grad
        (tensor([1., 1., 1.], grad_fn=<SumBackward1>), True)

    References:
        Mena, Belanger, Linderman, Snoek. Learning latent permutations with Gumbel-Sinkhorn networks. ICLR 2018.
    """

    arg_constraints = {}  # noqa: RUF012  torch's declaration
    support = constraints.independent(constraints.unit_interval, 2)
    _tensors = {"scores": 2}  # noqa: RUF012
    _settings = ("temperature", "hard", "max_iterations")

    def __init__(
        self,
        temperature: float | Float[Tensor, ""],
        scores: Float[Tensor, "*batch n m"],
        hard: bool = False,
        max_iterations: int = 1000,
        validate_args: bool | None = None,
    ) -> None:
        check_floating(scores, "scores")
        check_flag(hard, "hard")
        check_temperature(temperature, "for the limit of zero use hard=True", "temperature")
        if scores.dim() < 2:
            raise ValueError(f"scores must be matrices, shape (*batch, n, n), but their shape is {tuple(scores.shape)}")
        if not isinstance(temperature, Tensor):
            temperature = scalar(temperature, wide_dtype(scores.dtype), scores.device)
        self.temperature, self.scores, self.hard, self.max_iterations = temperature, scores, hard, max_iterations
        super().__init__(scores.shape[:-2], scores.shape[-2:], validate_args=validate_args)

    def rsample(
        self,
        sample_shape: _size = torch.Size(),  # noqa: B008  torch's signature
        *,
        generator: torch.Generator | None = None,
        seed: int | Tensor | None = None,
    ) -> Float[Tensor, "*shape n m"]:
        """Draw matrices of shape ``(*sample_shape, *batch_shape, n, n)`` that carry a gradient."""
        scores = self.scores.expand(self._extended_shape(sample_shape))
        tau = self.temperature.reshape((1,) * scores.dim())
        return gumbel_sinkhorn(
            scores, tau, self.hard, max_iterations=self.max_iterations, generator=generator, seed=seed
        )

    def __repr__(self) -> str:
        return f"{type(self).__name__}(temperature: {self.temperature.item()}, scores: {self.scores.shape})"
