"""Counts of several draws, relaxed or hard, with a gradient."""

from __future__ import annotations

import math

import torch
from torch.distributions import constraints
from torch.types import _size

from drawgrad._checks import check_count, check_flag
from drawgrad._typing import Float, Tensor
from drawgrad.distributions._numerics import wide_dtype
from drawgrad.distributions._relaxation import CategoricalRelaxation
from drawgrad.functional import gumbel_softmax

__all__ = ["RelaxedMultinomial"]


class RelaxedMultinomial(CategoricalRelaxation):
    r"""Counts of classes in n draws: the sum of n independent Gumbel-Softmax samples.

    .. math:: x = \sum_{j=1}^n \mathrm{softmax}((l + g_j) / \tau)

    With ``hard=True`` samples are counts of the multinomial distribution, exactly, with the gradient of the relaxed
    sum.

    Args:
        total_count: n, from 0 on.
        temperature: the temperature, positive: a number, or a tensor of the batch shape, with or without a last
            dimension of 1.
        logits: log-probabilities up to a constant, shape ``(*batch, k)``. Give these or ``probs``.
        probs: class probabilities, shape ``(*batch, k)``, normalized by their sum.
        hard: whether samples are whole numbers.
        validate_args: whether to check the values of tensors; torch's default if None.

    Raises:
        ValueError: if both or neither of ``probs`` and ``logits`` are given, if a shape does not fit, or if a value
            breaks its rule.
        TypeError: if a parameter is of a wrong type.

    Example:
        >>> import torch
        >>> q = RelaxedMultinomial(10, 0.5, torch.zeros(4, requires_grad=True), hard=True)
        >>> x = q.rsample(seed=0)
        >>> int(x.sum()), x.requires_grad
        (10, True)

    References:
        Jang, Gu, Poole. Categorical reparameterization with Gumbel-Softmax. ICLR 2017.
    """

    _settings = (*CategoricalRelaxation._settings, "total_count", "hard")

    def __init__(
        self,
        total_count: int,
        temperature: float | Float[Tensor, "..."],
        logits: Float[Tensor, "..."] | None = None,
        probs: Float[Tensor, "..."] | None = None,
        hard: bool = False,
        validate_args: bool | None = None,
    ) -> None:
        check_count(total_count, "total_count")
        check_flag(hard, "hard")
        self.total_count, self.hard = int(total_count), hard
        super().__init__(temperature, probs=probs, logits=logits, validate_args=validate_args)

    @constraints.dependent_property(is_discrete=False, event_dim=1)
    def support(self) -> constraints.Constraint:
        """Counts that are not negative and sum to n; whole ones if they are hard."""
        return (
            constraints.multinomial(self.total_count)
            if self.hard
            else constraints.independent(constraints.nonnegative, 1)
        )

    def rsample(
        self,
        sample_shape: _size = torch.Size(),  # noqa: B008  torch's signature
        *,
        generator: torch.Generator | None = None,
        seed: int | Tensor | None = None,
    ) -> Float[Tensor, "*shape k"]:
        """Draw counts of shape ``(*sample_shape, *batch_shape, k)``, which sum to n; n times as many are held."""
        logits = self._scores.expand(self.total_count, *self._extended_shape(sample_shape))
        draws = gumbel_softmax(logits, self._tau, self.hard, generator=generator, seed=seed)
        return draws.sum(0)

    def log_prob(self, value: Float[Tensor, "*shape k"]) -> Float[Tensor, "..."]:
        """Log-probability of hard counts; that of relaxed ones has no closed form.

        Raises:
            NotImplementedError: if the samples are not hard.
        """
        if not self.hard:
            raise NotImplementedError("the density of a sum of relaxed samples has no closed form; use hard=True")
        value = self._checked(value)
        wide = wide_dtype(self._parameter.dtype, value.dtype)
        log_p, counts = torch.broadcast_tensors(self._log_probs.to(wide), value.to(wide))
        # A class that cannot be drawn costs nothing where it was not.
        drawn = counts * torch.where(counts == 0, 0.0, log_p)
        return math.lgamma(self.total_count + 1) + (drawn - (counts + 1).lgamma()).sum(-1)

    @property
    def mean(self) -> Float[Tensor, "*batch k"]:
        """Mean of hard counts, n times the probabilities.

        Raises:
            NotImplementedError: if the samples are not hard.
        """
        if not self.hard:
            raise NotImplementedError("the mean of a relaxed sample has no closed form; use hard=True")
        return self.total_count * self.probs
