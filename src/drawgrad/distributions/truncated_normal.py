"""The normal distribution between two bounds."""

from __future__ import annotations

import math

import torch
from torch.distributions import constraints
from torch.special import log_ndtr, ndtri
from torch.types import _size

from drawgrad._checks import check_floating
from drawgrad._typing import Float, Num, Tensor
from drawgrad.distributions._base import Expandable, Seeded
from drawgrad.distributions._numerics import as_tensor, wide_dtype
from drawgrad.functional import implicit_sample, logistic_noise

__all__ = ["TruncatedNormal"]

STEPS = 6
"""Of Newton's method for the quantiles of a far tail, each of which doubles the digits; four would do."""


class TruncatedNormal(Seeded, Expandable):
    r"""A normal variable, given that it lies between two bounds.

    .. math:: p(x) = \frac{\varphi(z)}{\sigma\, (\Phi(\beta) - \Phi(\alpha))}, \qquad z = \frac{x - \mu}{\sigma}, \quad
        \alpha = \frac{a - \mu}{\sigma}, \quad \beta = \frac{b - \mu}{\sigma}

    All formulas are in the logarithm of the tail on whose side the interval lies, so that they hold where it is dozens
    of standard deviations away. Samples carry the gradient for all four parameters.

    Args:
        loc: mean of the normal variable; a number or any shape.
        scale: its standard deviation, positive; broadcasts with the others.
        low: lower bound; -inf is none.
        high: upper bound, above ``low``; inf is none.
        validate_args: whether to check the values of tensors; torch's default if None.

    Raises:
        ValueError: if a parameter or a value breaks its rule.
        TypeError: if a parameter is not of a floating dtype.

    Example:
        >>> import torch
        >>> q = TruncatedNormal(torch.tensor(0.0, requires_grad=True), 1.0, low=2.0, high=float("inf"))
        >>> x = q.rsample((1000,), seed=0)
        >>> bool((x >= 2).all()), x.requires_grad
        (True, True)
        >>> q.mean
        tensor(2.3732, grad_fn=<ToCopyBackward0>)

    References:
        Johnson, Kotz, Balakrishnan. Continuous univariate distributions, volume 1, chapter 13. 1994.
        Figurnov, Mohamed, Mnih. Implicit reparameterization gradients. NeurIPS 2018.
    """

    arg_constraints = {  # noqa: RUF012  torch's declaration
        "loc": constraints.real,
        "scale": constraints.positive,
        "low": constraints.dependent,
        "high": constraints.dependent,
    }
    _tensors = {"loc": 0, "scale": 0, "low": 0, "high": 0}  # noqa: RUF012

    def __init__(
        self,
        loc: float | Float[Tensor, "..."],
        scale: float | Float[Tensor, "..."],
        low: float | Float[Tensor, "..."],
        high: float | Float[Tensor, "..."],
        validate_args: bool | None = None,
    ) -> None:
        given = {"loc": loc, "scale": scale, "low": low, "high": high}
        like = next((value for value in given.values() if isinstance(value, Tensor)), loc)
        tensors = {name: as_tensor(value, like) for name, value in given.items()}
        for name, value in tensors.items():
            check_floating(value, name)
        self.loc, self.scale, self.low, self.high = torch.broadcast_tensors(*tensors.values())
        super().__init__(self.loc.shape, validate_args=validate_args)
        if self._validate_args and not torch._is_all_true(self.low < self.high):
            wrong = ~(self.low < self.high)
            raise ValueError(
                f"low must be below high, but a tensor of shape {tuple(self.low.shape)} holds "
                f"{self.low[wrong][0].item()} with high = {self.high[wrong][0].item()}; exchange them, or pass "
                "validate_args=False to skip this check"
            )

    @constraints.dependent_property(is_discrete=False, event_dim=0)
    def support(self) -> constraints.Constraint:
        """Numbers from ``low`` to ``high``."""
        return constraints.interval(self.low, self.high)

    @property
    def _standard(self) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
        """Mean and standard deviation, the two bounds in units of it, and log(Phi(beta) - Phi(alpha)), in float64."""
        loc, scale, low, high = (value.double() for value in (self.loc, self.scale, self.low, self.high))
        # A bound that is none is a constant: infinity has no gradient, not even zero.
        alpha, beta = (
            torch.where(bound.isinf(), bound, (torch.where(bound.isinf(), 0.0, bound) - loc) / scale)
            for bound in (low, high)
        )
        return loc, scale, alpha, beta, _log_between(alpha, beta)

    def rsample(
        self,
        sample_shape: _size = torch.Size(),  # noqa: B008  torch's signature
        *,
        generator: torch.Generator | None = None,
        seed: int | Tensor | None = None,
    ) -> Float[Tensor, "..."]:
        """Draw samples of shape ``(*sample_shape, *batch_shape)`` that carry a gradient to all four parameters.

        Args:
            sample_shape: shape of independent draws for each element of the batch.
            generator: draws the seed; torch's default generator of the parameters' device if None.
            seed: the seed itself, an int or a 0-dim int64 tensor, instead of ``generator``.

        Returns:
            Samples in the dtype of the parameters.
        """
        shape = self._extended_shape(sample_shape)
        loc, scale, alpha, beta, total = self._standard
        noise = logistic_noise(shape, dtype=torch.float64, device=loc.device, generator=generator, seed=seed)
        with torch.no_grad():
            # In the mirror image where the interval lies to the right: there the small numbers are.
            right = alpha > 0
            a, b = torch.where(right, -beta, alpha), torch.where(right, -alpha, beta)
            u = torch.where(right, -noise, noise)
            log_p = torch.logaddexp(_log_tail(a), torch.nn.functional.logsigmoid(u) + total)
            z = _quantile(log_p).clamp(a.expand(shape), b.expand(shape))
            z = torch.where(right, -z, z)
            # How it moves with either bound while its place between them is held fixed.
            below, above = torch.nn.functional.logsigmoid(noise), torch.nn.functional.logsigmoid(-noise)
            by_low = torch.where(alpha.isinf(), 0.0, (above + (z**2 - alpha**2) / 2).exp())
            by_high = torch.where(beta.isinf(), 0.0, (below + (z**2 - beta**2) / 2).exp())
        low, high = (torch.where(bound.isinf(), 0.0, bound) for bound in (alpha, beta))
        z = implicit_sample(z, lambda point: point - by_low * low - by_high * high)
        dtype = self.loc.dtype
        return (loc + scale * z).to(dtype).clamp(self.low.detach(), self.high.detach())

    def log_prob(self, value: Num[Tensor, "..."]) -> Float[Tensor, "..."]:
        """Log-density at points of shape ``(*sample_shape, *batch_shape)``; -inf beyond the bounds."""
        if self._validate_args:
            self._validate_sample(value)
        loc, scale, _, _, total = self._standard
        z = (value.double() - loc) / scale
        inside = (value >= self.low) & (value <= self.high)
        density = -(z**2) / 2 - math.log(math.sqrt(2 * math.pi)) - scale.log() - total
        wide = wide_dtype(self.loc.dtype, value.dtype)
        return torch.where(inside, density, -torch.inf).to(wide)

    def cdf(self, value: Num[Tensor, "..."]) -> Float[Tensor, "..."]:
        """Probability of a number up to ``value``, shape ``(*sample_shape, *batch_shape)``."""
        loc, scale, alpha, beta, total = self._standard
        z = ((value.double() - loc) / scale).clamp(alpha, beta)
        return (_log_between(alpha, z) - total).exp().to(wide_dtype(self.loc.dtype, value.dtype))

    def entropy(self) -> Float[Tensor, "*batch"]:
        """Differential entropy, shape ``batch_shape``, float32 at least."""
        _, scale, alpha, beta, total = self._standard
        left, right = (_at_bound(bound, total) * torch.where(bound.isinf(), 0.0, bound) for bound in (alpha, beta))
        value = math.log(math.sqrt(2 * math.pi * math.e)) + scale.log() + total + (left - right) / 2
        return value.to(wide_dtype(self.loc.dtype))

    @property
    def mean(self) -> Float[Tensor, "*batch"]:
        """Mean of the samples."""
        loc, scale, alpha, beta, total = self._standard
        return (loc + scale * (_at_bound(alpha, total) - _at_bound(beta, total))).to(self.loc.dtype)

    @property
    def variance(self) -> Float[Tensor, "*batch"]:
        """Variance of the samples."""
        _, scale, alpha, beta, total = self._standard
        at_low, at_high = _at_bound(alpha, total), _at_bound(beta, total)
        low, high = (torch.where(bound.isinf(), 0.0, bound) for bound in (alpha, beta))
        return (scale**2 * (1 + low * at_low - high * at_high - (at_low - at_high) ** 2)).to(self.loc.dtype)

    @property
    def mode(self) -> Float[Tensor, "*batch"]:
        """Mode: the mean of the normal variable, or the bound that is nearest to it."""
        return self.loc.clamp(self.low, self.high)


def _log_between(a: Tensor, b: Tensor) -> Tensor:
    """log(Phi(b) - Phi(a)) for a below b, by the tail on their side."""
    right = a > 0
    low, high = torch.where(right, -b, a), torch.where(right, -a, b)
    upper, lower = _log_tail(high), _log_tail(low)
    gap = (lower - upper).clamp_max(0.0)
    # Without an interval there is no gradient either.
    empty = gap == 0
    safe = torch.where(empty, -1.0, gap)
    return torch.where(empty, -torch.inf, upper + torch.log(-torch.expm1(safe)))


def _log_tail(x: Tensor) -> Tensor:
    """log Phi(x), a constant where x is infinite."""
    value = log_ndtr(torch.where(x.isinf(), 0.0, x))
    return torch.where(x == -torch.inf, -torch.inf, torch.where(x == torch.inf, 0.0, value))


def _at_bound(bound: Tensor, total: Tensor) -> Tensor:
    """phi(bound) / (Phi(beta) - Phi(alpha)), zero where there is no bound."""
    there = ~bound.isinf()
    z = torch.where(there, bound, 0.0)
    return torch.where(there, (-(z**2) / 2 - math.log(math.sqrt(2 * math.pi)) - total).exp(), 0.0)


def _quantile(log_p: Tensor) -> Tensor:
    """The number below which the normal distribution has the probability exp(log_p)."""
    far = log_p < -10
    x = torch.where(far, -(-2 * torch.where(far, log_p, -10.0)).sqrt(), 0.0)
    for _ in range(STEPS):
        log_tail = log_ndtr(x)
        # The logarithm is concave, so that Newton's steps approach from one side.
        x = x - (log_tail - log_p) * (log_tail + x**2 / 2 + math.log(math.sqrt(2 * math.pi))).exp()
    return torch.where(far, x, ndtri(torch.where(far, 0.5, log_p.exp())))
