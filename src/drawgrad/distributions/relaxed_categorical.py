"""The Gumbel-Softmax (Concrete) distribution on the simplex, and its logarithm."""

from __future__ import annotations

import torch
from torch.distributions import constraints
from torch.types import _size

from drawgrad._typing import Float, Num, Tensor
from drawgrad.distributions._numerics import held, log_indicator, log_of_rounded, wide_dtype
from drawgrad.distributions._relaxation import CategoricalRelaxation
from drawgrad.distributions._simplex import rounded_simplex
from drawgrad.functional import gumbel_noise, gumbel_softmax
from drawgrad.kernels.log_probs import log_softmax

__all__ = ["ExpRelaxedCategorical", "RelaxedOneHotCategorical"]

EULER = 0.57721566490153286061


class ExpRelaxedCategorical(CategoricalRelaxation):
    r"""The logarithm of a Gumbel-Softmax sample; exact where the sample itself would underflow.

    .. math:: x = \mathrm{log\,softmax}((l + g) / \tau), \qquad g_i \sim \mathrm{Gumbel}(0, 1)

    The density is that of the K - 1 log-ratios :math:`x_i - x_K`, which treats the classes alike:

    .. math:: \log p(x) = \log \Gamma(K) + (K - 1) \log \tau + \sum_i (l_i - \tau x_i)
        - K \log \sum_i \exp(l_i - \tau x_i)

    A class with logit -inf is never drawn: its x is -inf, and the density is that of the classes that remain. The
    derivative for x is up to (K - 1) tau: where a float16 x could not hold it, that coordinate is taken for a constant.

    Args:
        temperature: the temperature, positive: a number, or a tensor of the batch shape, with or without a last
            dimension of 1. Low ones are close to one-hot.
        probs: class probabilities, shape ``(*batch, k)``, normalized by their sum. Give these or ``logits``.
        logits: log-probabilities up to a constant, shape ``(*batch, k)``.
        validate_args: whether to check the values of tensors, here and in ``log_prob``; torch's default if None.

    Raises:
        ValueError: if both or neither of ``probs`` and ``logits`` are given, if a shape does not fit, or if a value
            breaks its rule.
        TypeError: if a parameter is not of a floating dtype.

    Example:
        >>> import torch
        >>> q = ExpRelaxedCategorical(0.05, logits=torch.zeros(5, 200))
        >>> q.log_prob(q.rsample(seed=0)).shape
        torch.Size([5])

    References:
        Maddison, Mnih, Teh. The Concrete distribution. ICLR 2017.
    """

    support = constraints.real_vector

    def rsample(
        self,
        sample_shape: _size = torch.Size(),  # noqa: B008  torch's signature
        *,
        generator: torch.Generator | None = None,
        seed: int | Tensor | None = None,
    ) -> Float[Tensor, "*shape k"]:
        """Draw log-samples; one seed gives the logarithm of what :class:`RelaxedOneHotCategorical` draws."""
        logits = self._scores.expand(self._extended_shape(sample_shape))
        wide = wide_dtype(logits.dtype)
        noise = gumbel_noise(logits.shape, dtype=wide, device=logits.device, generator=generator, seed=seed)
        perturbed = logits.to(wide) + noise
        # The largest one is subtracted before the division: a small temperature cannot overflow.
        shifted = perturbed - perturbed.detach().amax(-1, keepdim=True)
        sample = log_softmax(_divide(shifted, self._tau.to(wide)))
        # Where a narrow dtype does not reach as far, its end; -inf is for what is never drawn.
        lowest = torch.finfo(logits.dtype).min
        return torch.where(logits > -torch.inf, sample.clamp(min=lowest), sample).to(logits.dtype)

    def log_prob(self, value: Num[Tensor, "*shape k"]) -> Float[Tensor, "..."]:
        """Log-density of log-samples.

        Args:
            value: points of shape ``(*sample_shape, *batch_shape, k)``. A constant added to a row makes no difference.

        Returns:
            Shape ``(*sample_shape, *batch_shape)``, float32 at least; -inf where a class that is never drawn has a
            share, or another one none.
        """
        value = self._checked(value)
        wide = wide_dtype(self._parameter.dtype, value.dtype)
        scores, x = torch.broadcast_tensors(self._wide_scores.to(wide), value.to(wide))
        tau = self._tau.to(wide)
        forbidden, nothing = scores == -torch.inf, x == -torch.inf
        x = x.masked_fill(forbidden | nothing, 0.0)
        if x.requires_grad and value.dtype != wide:
            portion = _log_shares(scores, tau, x).detach().exp()
            slope = tau * (self._allowed(wide)[..., None] * portion - 1)
            x = held(x, slope.detach().abs() > torch.finfo(value.dtype).max)
        shares = _log_shares(scores, tau, x)
        each = torch.where(forbidden | nothing, log_indicator(forbidden & nothing, x), shares)
        return each.sum(-1) + self._log_constant(wide)

    def _validate_sample(self, value: Tensor) -> None:
        # torch cannot check an empty tensor against a constraint on vectors.
        if not isinstance(value, Tensor) or value.numel():
            super()._validate_sample(value)

    def entropy(self) -> Float[Tensor, "*batch"]:
        r"""Differential entropy of the log-ratios; the logits do not matter.

        .. math:: H = K (\psi(K) + \gamma) - \log \Gamma(K) - (K - 1) \log \tau

        Returns:
            Shape ``batch_shape``, float32 at least; K counts the classes that can be drawn.
        """
        wide = wide_dtype(self._parameter.dtype)
        k = self._allowed(wide)
        return k * (k.digamma() + EULER) - k.lgamma() - (k - 1) * self.temperature.to(wide).log()


class RelaxedOneHotCategorical(CategoricalRelaxation):
    r"""The Gumbel-Softmax distribution: points of the simplex that tend to one-hot as the temperature tends to zero.

    .. math:: y = \mathrm{softmax}((l + g) / \tau), \qquad g_i \sim \mathrm{Gumbel}(0, 1)

    .. math:: p(y) = \Gamma(K) \tau^{K-1} \Bigl(\sum_i \pi_i y_i^{-\tau}\Bigr)^{-K}
        \prod_i \pi_i y_i^{-\tau-1}

    The density refers to the first K - 1 coordinates. At low temperatures most coordinates of a sample are too small
    for their dtype and become zero, where the density is zero or infinite; ``log_prob`` takes a zero for the smallest
    number above it that the dtype holds, so it is finite, but no longer exact. Its gradient takes a coordinate for a
    constant where 1 / y would overflow. Work with :class:`ExpRelaxedCategorical` where neither will do.

    Args:
        temperature: as in :class:`ExpRelaxedCategorical`; likewise all other arguments and what they raise.
        probs: class probabilities, shape ``(*batch, k)``.
        logits: log-probabilities up to a constant, shape ``(*batch, k)``.
        validate_args: whether to check the values of tensors.

    Example:
        >>> import torch
        >>> q = RelaxedOneHotCategorical(torch.tensor([0.5, 1.0]), logits=torch.zeros(2, 3))
        >>> y = q.rsample((4,), seed=0)
        >>> y.shape, q.log_prob(y).shape
        (torch.Size([4, 2, 3]), torch.Size([4, 2]))

    References:
        Jang, Gu, Poole. Categorical reparameterization with Gumbel-Softmax. ICLR 2017.
        Maddison, Mnih, Teh. The Concrete distribution. ICLR 2017.
    """

    support = rounded_simplex

    def rsample(
        self,
        sample_shape: _size = torch.Size(),  # noqa: B008  torch's signature
        *,
        generator: torch.Generator | None = None,
        seed: int | Tensor | None = None,
    ) -> Float[Tensor, "*shape k"]:
        """Draw points of the simplex by :func:`drawgrad.functional.gumbel_softmax`."""
        logits = self._scores.expand(self._extended_shape(sample_shape))
        return gumbel_softmax(logits, self._tau, generator=generator, seed=seed)

    def log_prob(self, value: Num[Tensor, "*shape k"]) -> Float[Tensor, "..."]:
        """Log-density of points of the simplex.

        Args:
            value: points of shape ``(*sample_shape, *batch_shape, k)``.

        Returns:
            Shape ``(*sample_shape, *batch_shape)``, float32 at least; -inf where a class that is never drawn has a
            share.
        """
        value = self._checked(value)
        wide = wide_dtype(self._parameter.dtype, value.dtype)
        tau = self._tau.to(wide)
        scores, y = torch.broadcast_tensors(self._wide_scores.to(wide), value.to(wide))
        forbidden = scores == -torch.inf
        log_y = log_of_rounded(y, value.dtype, slope=1 + tau * (1 + y.shape[-1]))
        shares = _log_shares(scores, tau, log_y) - log_y
        each = torch.where(forbidden, log_indicator(y == 0, y), shares)
        return each.sum(-1) + self._log_constant(wide)

    def _validate_sample(self, value: Tensor) -> None:
        # A sample that was converted to a wider dtype is still rounded to the narrow one.
        if isinstance(value, Tensor) and torch.promote_types(value.dtype, self._parameter.dtype) == value.dtype:
            value = value.to(self._parameter.dtype)
        super()._validate_sample(value)


def _log_shares(scores: Tensor, tau: Tensor, value: Tensor) -> Tensor:
    """What each class adds to the log-density of the log-sample ``value``, which is finite also for scores of -inf."""
    return log_softmax(scores - tau * value)


def _divide(shifted: Tensor, tau: Tensor) -> Tensor:
    """``shifted / tau``, whose gradient for tau is no NaN where ``shifted`` is -inf."""
    allowed = shifted > -torch.inf
    return torch.where(allowed, torch.where(allowed, shifted, 0.0) / tau, -torch.inf)
