"""The logistic distribution."""

from __future__ import annotations

import math

import torch
from torch.distributions import constraints
from torch.types import _size

from drawgrad._checks import check_floating
from drawgrad._typing import Float, Num, Tensor
from drawgrad.distributions._base import Expandable, Seeded
from drawgrad.distributions._numerics import as_tensor, logistic_log_density, wide_dtype
from drawgrad.functional import logistic_noise

__all__ = ["Logistic"]


class Logistic(Seeded, Expandable):
    r"""The logistic distribution: the log-odds of a uniform variable, shifted and scaled.

    .. math:: x = \mu + s \, e, \qquad e = \log u - \log(1 - u), \qquad P(X \le x) = \sigma((x - \mu) / s)

    The lower tail keeps its relative precision in ``cdf`` and ``icdf``. The upper tail is its mirror image:
    P(X > x) is ``cdf(2 * loc - x)``.

    Args:
        loc: mean, mode and median; a number or any shape.
        scale: positive; a number or any shape that broadcasts with ``loc``.
        validate_args: whether to check the values of tensors; torch's default if None.

    Raises:
        ValueError: if a parameter or a value breaks its rule.
        TypeError: if a parameter is not of a floating dtype.

    Example:
        >>> import torch
        >>> d = Logistic(torch.zeros(2), 1.0)
        >>> d.cdf(torch.tensor([0.0, 2.0]))
        tensor([0.5000, 0.8808])
        >>> d.rsample((3,), seed=0).shape
        torch.Size([3, 2])

    References:
        Johnson, Kotz, Balakrishnan. Continuous univariate distributions, volume 2, chapter 23. 1995.
    """

    arg_constraints = {"loc": constraints.real, "scale": constraints.positive}  # noqa: RUF012  torch's declaration
    support = constraints.real
    _tensors = {"loc": 0, "scale": 0}  # noqa: RUF012

    def __init__(
        self,
        loc: float | Float[Tensor, "..."],
        scale: float | Float[Tensor, "..."],
        validate_args: bool | None = None,
    ) -> None:
        location, spread = as_tensor(loc, scale), as_tensor(scale, loc)
        check_floating(location, "loc")
        check_floating(spread, "scale")
        self.loc, self.scale = torch.broadcast_tensors(location, spread)
        super().__init__(self.loc.shape, validate_args=validate_args)

    def rsample(
        self,
        sample_shape: _size = torch.Size(),  # noqa: B008  torch's signature
        *,
        generator: torch.Generator | None = None,
        seed: int | Tensor | None = None,
    ) -> Float[Tensor, "..."]:
        """Draw samples that carry a gradient to ``loc`` and ``scale``.

        Args:
            sample_shape: shape of independent draws for each element of the batch.
            generator: draws the seed; torch's default generator of the parameters' device if None.
            seed: the seed itself, an int or a 0-dim int64 tensor, instead of ``generator``.

        Returns:
            Samples of shape ``(*sample_shape, *batch_shape)``.
        """
        shape = self._extended_shape(sample_shape)
        dtype = torch.promote_types(self.loc.dtype, self.scale.dtype)
        wide = wide_dtype(dtype)
        noise = logistic_noise(shape, dtype=wide, device=self.loc.device, generator=generator, seed=seed)
        return (self.loc.to(wide) + self.scale.to(wide) * noise).to(dtype)

    def log_prob(self, value: Num[Tensor, "..."]) -> Float[Tensor, "..."]:
        """Log-density at points of shape ``(*sample_shape, *batch_shape)``, likewise and in float32 at least."""
        if self._validate_args:
            self._validate_sample(value)
        wide = wide_dtype(self.loc.dtype, self.scale.dtype, value.dtype)
        loc, scale = self.loc.to(wide), self.scale.to(wide)
        return logistic_log_density((value - loc) / scale) - scale.log()

    def cdf(self, value: Num[Tensor, "..."]) -> Float[Tensor, "..."]:
        """Probability of a number up to ``value``, shape ``(*sample_shape, *batch_shape)``."""
        if self._validate_args:
            self._validate_sample(value)
        return torch.sigmoid((value - self.loc) / self.scale)

    def icdf(self, value: Float[Tensor, "..."]) -> Float[Tensor, "..."]:
        """The number below which the probability is ``value``, in [0, 1]."""
        return self.loc + self.scale * (value.log() - torch.log1p(-value))

    def entropy(self) -> Float[Tensor, "*batch"]:
        """Differential entropy, ``2 + log(scale)``, shape ``batch_shape``, float32 at least."""
        return 2 + self.scale.to(wide_dtype(self.scale.dtype)).log()

    @property
    def mean(self) -> Float[Tensor, "*batch"]:
        """Mean: ``loc``."""
        return self.loc

    @property
    def mode(self) -> Float[Tensor, "*batch"]:
        """Mode: ``loc``."""
        return self.loc

    @property
    def variance(self) -> Float[Tensor, "*batch"]:
        """Variance, ``pi^2 scale^2 / 3``, shape ``batch_shape``."""
        return math.pi**2 / 3 * self.scale**2

    @property
    def stddev(self) -> Float[Tensor, "*batch"]:
        """Standard deviation, ``pi scale / sqrt(3)``, shape ``batch_shape``."""
        return math.pi / math.sqrt(3) * self.scale
