"""The binary Concrete distribution on the unit interval, and its log-odds."""

from __future__ import annotations

import math

import torch
from torch.distributions import constraints
from torch.types import _size

from drawgrad._typing import Float, Num, Tensor
from drawgrad.distributions._numerics import held, log_indicator, log_of_rounded, logistic_log_density, wide_dtype
from drawgrad.distributions._relaxation import BinaryRelaxation
from drawgrad.functional import binary_concrete, logistic_noise

__all__ = ["LogitRelaxedBernoulli", "RelaxedBernoulli"]


class LogitRelaxedBernoulli(BinaryRelaxation):
    r"""The log-odds of a binary Concrete sample: exact where the sample itself would round to 0 or 1.

    .. math:: x = (l + e) / \tau, \qquad e \sim \mathrm{Logistic}(0, 1)

    This is a logistic variable. With probability 0 or 1 it is a single point, -inf or inf.

    Args:
        temperature: the temperature, positive: a number, or a tensor that broadcasts with the batch.
        probs: probability of a one, a number or any shape. Give this or ``logits``.
        logits: log-odds of a one, a number or any shape.
        validate_args: whether to check the values of tensors, here and in ``log_prob``; torch's default if None.

    Raises:
        ValueError: if both or neither of ``probs`` and ``logits`` are given, if a shape does not fit, or if a value
            breaks its rule.
        TypeError: if a parameter is not of a floating dtype.

    Example:
        >>> import torch
        >>> q = LogitRelaxedBernoulli(0.5, logits=torch.tensor([-1.0, 1.0]))
        >>> q.mean, q.log_prob(q.rsample((3,), seed=0)).shape
        (tensor([-2.,  2.]), torch.Size([3, 2]))

    References:
        Maddison, Mnih, Teh. The Concrete distribution. ICLR 2017.
    """

    support = constraints.real

    def rsample(
        self,
        sample_shape: _size = torch.Size(),  # noqa: B008  torch's signature
        *,
        generator: torch.Generator | None = None,
        seed: int | Tensor | None = None,
    ) -> Float[Tensor, "..."]:
        """Draw log-odds; one seed gives the log-odds of what :class:`RelaxedBernoulli` draws."""
        logits = self.logits.expand(self._extended_shape(sample_shape))
        wide = wide_dtype(logits.dtype)
        noise = logistic_noise(logits.shape, dtype=wide, device=logits.device, generator=generator, seed=seed)
        sample = (logits.to(wide) + noise) / self.temperature.to(wide)
        # Where a narrow dtype does not reach as far, its end; infinities are for certain outcomes.
        end = torch.finfo(logits.dtype).max
        return torch.where(logits.isinf(), sample, sample.clamp(-end, end)).to(logits.dtype)

    def log_prob(self, value: Num[Tensor, "..."]) -> Float[Tensor, "..."]:
        """Log-density of log-odds of shape ``(*sample_shape, *batch_shape)``, likewise and in float32 at least."""
        value = self._checked(value)
        wide = wide_dtype(self._parameter.dtype, value.dtype)
        temperature = self.temperature.to(wide)
        x = held(value.to(wide), temperature.detach() > torch.finfo(value.dtype).max)
        return log_density(self._wide_logits.to(wide), temperature, x)

    def cdf(self, value: Num[Tensor, "..."]) -> Float[Tensor, "..."]:
        """Probability of log-odds up to ``value``, shape ``(*sample_shape, *batch_shape)``."""
        value = self._checked(value)
        return torch.sigmoid(self.temperature * value - self.logits)

    def icdf(self, value: Float[Tensor, "..."]) -> Float[Tensor, "..."]:
        """Log-odds below which the probability is ``value``, in [0, 1]."""
        return (self.logits + value.log() - torch.log1p(-value)) / self.temperature

    def entropy(self) -> Float[Tensor, "*batch"]:
        """Differential entropy, ``2 - log(temperature)``, shape ``batch_shape``, float32 at least."""
        wide = wide_dtype(self._parameter.dtype, self.temperature.dtype)
        return (2 - self.temperature.to(wide).log()).expand(self.batch_shape)

    @property
    def mean(self) -> Float[Tensor, "*batch"]:
        """Mean, ``logits / temperature``, shape ``batch_shape``."""
        return self.logits / self.temperature

    @property
    def mode(self) -> Float[Tensor, "*batch"]:
        """Mode: the mean."""
        return self.mean

    @property
    def variance(self) -> Float[Tensor, "*batch"]:
        """Variance, ``pi^2 / (3 temperature^2)``, shape ``batch_shape``."""
        return (math.pi**2 / 3 / self.temperature**2).expand(self.batch_shape)


class RelaxedBernoulli(BinaryRelaxation):
    r"""The binary Concrete distribution: points of the unit interval that tend to 0 or 1 with the temperature.

    .. math:: y = \sigma((l + e) / \tau), \qquad e \sim \mathrm{Logistic}(0, 1)

    .. math:: p(y) = \frac{\tau e^{l} y^{-\tau-1} (1 - y)^{-\tau-1}}{(e^{l} y^{-\tau} + (1 - y)^{-\tau})^2}

    A sample that is rounded to 0 or 1 is where the density is zero or infinite; ``log_prob`` takes it for the number
    next to it that the dtype holds, so it is finite, but no longer exact. Its gradient takes a sample for a constant
    where 1 / y or 1 / (1 - y) would overflow. Work with :class:`LogitRelaxedBernoulli` where neither will do.

    Args:
        temperature: as in :class:`LogitRelaxedBernoulli`; likewise all other arguments and what they raise.
        probs: probability of a one, a number or any shape.
        logits: log-odds of a one, a number or any shape.
        validate_args: whether to check the values of tensors.

    Example:
        >>> import torch
        >>> q = RelaxedBernoulli(0.5, probs=torch.tensor([0.1, 0.9]))
        >>> q.rsample((3,), seed=0).shape
        torch.Size([3, 2])
        >>> q.cdf(torch.tensor(0.5))
        tensor([0.9000, 0.1000])

    References:
        Maddison, Mnih, Teh. The Concrete distribution. ICLR 2017.
    """

    support = constraints.unit_interval

    def rsample(
        self,
        sample_shape: _size = torch.Size(),  # noqa: B008  torch's signature
        *,
        generator: torch.Generator | None = None,
        seed: int | Tensor | None = None,
    ) -> Float[Tensor, "..."]:
        """Draw points of the unit interval by :func:`drawgrad.functional.binary_concrete`."""
        logits = self.logits.expand(self._extended_shape(sample_shape))
        return binary_concrete(logits, self.temperature, generator=generator, seed=seed)

    def log_prob(self, value: Num[Tensor, "..."]) -> Float[Tensor, "..."]:
        """Log-density of points of shape ``(*sample_shape, *batch_shape)``, likewise and in float32 at least."""
        value = self._checked(value)
        wide = wide_dtype(self._parameter.dtype, value.dtype)
        temperature = self.temperature.to(wide)
        logits, y = torch.broadcast_tensors(self._wide_logits.to(wide), value.to(wide))
        slope = 2 + 2 * temperature
        log_y, log_rest = log_of_rounded(y, value.dtype, slope), _log_of_rest(y, value.dtype, slope)
        certain = logits.isinf()
        # A certain outcome has a probability, which has no derivative; that of log-odds is infinite at the ends.
        log_odds = torch.where(certain, torch.logit(y.detach()), log_y - log_rest)
        density = log_density(logits, temperature, log_odds)
        return density - torch.where(certain, 0.0, log_y + log_rest)

    def cdf(self, value: Num[Tensor, "..."]) -> Float[Tensor, "..."]:
        """Probability of a point up to ``value``, shape ``(*sample_shape, *batch_shape)``."""
        value = self._checked(value)
        return torch.sigmoid(self.temperature * (value.log() - torch.log1p(-value)) - self.logits)

    def icdf(self, value: Float[Tensor, "..."]) -> Float[Tensor, "..."]:
        """The point below which the probability is ``value``, in [0, 1]."""
        return torch.sigmoid((self.logits + value.log() - torch.log1p(-value)) / self.temperature)


def log_density(logits: Tensor, temperature: Tensor, value: Tensor) -> Tensor:
    """Log-density of the log-odds ``value``; of a certain outcome, its log-probability."""
    logits, value = torch.broadcast_tensors(logits, value)
    certain = logits.isinf()
    z = torch.where(certain, 0.0, logits) - temperature * torch.where(certain, 0.0, value)
    density = temperature.log() + logistic_log_density(z)
    return torch.where(certain, log_indicator(value == logits, density), density)


def _log_of_rest(y: Tensor, dtype: torch.dtype, slope: Tensor) -> Tensor:
    """log(1 - y) of numbers rounded to ``dtype``, likewise: one stands for the largest number below it."""
    info = torch.finfo(dtype)
    below = y < 1
    log_rest = torch.where(below, torch.log1p(-torch.where(below, y, 0.0)), math.log(info.eps / 2))
    return held(log_rest, 1 - y <= slope.detach() / info.max)
