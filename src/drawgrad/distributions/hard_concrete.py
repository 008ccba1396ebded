"""Gates that are exactly zero, exactly one, or in between: the hard Concrete distribution."""

from __future__ import annotations

import math

import torch
from torch.distributions import constraints
from torch.nn.functional import logsigmoid
from torch.types import _size

from drawgrad._checks import as_numbers
from drawgrad._typing import Float, Tensor
from drawgrad.distributions._numerics import logistic_log_density, wide_dtype
from drawgrad.distributions._relaxation import BinaryRelaxation
from drawgrad.functional import binary_concrete

__all__ = ["HardConcrete"]


class HardConcrete(BinaryRelaxation):
    r"""A binary Concrete variable, stretched beyond [0, 1] and cut off: some samples are exactly zero or one.

    .. math:: z = \min(1, \max(0, \gamma + (\zeta - \gamma) s)), \qquad s = \sigma((l + x) / \tau), \quad
        x \sim \mathrm{Logistic}(0, 1)

    It has two atoms and a density between them. Samples carry a pathwise gradient, which is zero at the atoms; how
    probable the atoms are is differentiable as well, and that is what is penalized: :attr:`expected_l0`.

    Args:
        temperature: the temperature, positive: a number, or a tensor that broadcasts with the batch.
        logits: log-odds of an open gate, a number or any shape.
        stretch: the interval (gamma, zeta), with gamma below 0 and zeta above 1.
        validate_args: whether to check the values of tensors, here and in ``log_prob``; torch's default if None.

    Raises:
        ValueError: if the interval does not reach beyond [0, 1], if a shape does not fit, or if a value breaks its
            rule.
        TypeError: if a parameter is not of a floating dtype.

    Example:
        >>> import torch
        >>> q = HardConcrete(2 / 3, torch.tensor([-3.0, 0.0, 3.0]))
        >>> q.prob_zero, q.expected_l0
        (tensor([0.8024, 0.1682, 0.0100]), tensor([0.1976, 0.8318, 0.9900]))
        >>> q.mean
        tensor([0.0000, 0.5000, 1.0000])

    References:
        Louizos, Welling, Kingma. Learning sparse neural networks through L0 regularization. ICLR 2018.
    """

    arg_constraints = {"temperature": constraints.positive, "logits": constraints.real}  # noqa: RUF012
    support = constraints.unit_interval
    _settings = (*BinaryRelaxation._settings, "stretch")

    def __init__(
        self,
        temperature: float | Float[Tensor, "..."],
        logits: float | Float[Tensor, "..."],
        stretch: tuple[float, float] = (-0.1, 1.1),
        validate_args: bool | None = None,
    ) -> None:
        ends = as_numbers(stretch, "stretch")
        if len(ends) != 2:
            raise ValueError(f"stretch must have two ends, but it is {stretch!r}; the paper's is (-0.1, 1.1)")
        low, high = ends
        if not (-math.inf < low < 0 and 1 < high < math.inf):
            raise ValueError(
                f"stretch must be a finite interval with its ends below 0 and above 1, but it is ({low}, {high}); "
                "the paper's is (-0.1, 1.1)"
            )
        self.stretch = (low, high)
        super().__init__(temperature, logits=logits, validate_args=validate_args)

    def rsample(
        self,
        sample_shape: _size = torch.Size(),  # noqa: B008  torch's signature
        *,
        generator: torch.Generator | None = None,
        seed: int | Tensor | None = None,
    ) -> Float[Tensor, "..."]:
        """Draw gates, some of them exactly zero or one, with a gradient to logits and temperature in between."""
        low, high = self.stretch
        logits = self._wide_logits.expand(self._extended_shape(sample_shape))
        soft = binary_concrete(logits, self.temperature, generator=generator, seed=seed)
        return (low + (high - low) * soft).clamp(0.0, 1.0).to(self._parameter.dtype)

    def _log_odds_beyond(self, point: float) -> Tensor:
        """Log-odds that the gate, before it is cut off, exceeds a point of the unit interval."""
        low, high = self.stretch
        wide = self._wide_logits
        return wide - self.temperature.to(wide.dtype) * (math.log(point - low) - math.log(high - point))

    @property
    def prob_zero(self) -> Float[Tensor, "*batch"]:
        """Probability of exactly zero."""
        return torch.sigmoid(-self._log_odds_beyond(0.0))

    @property
    def prob_one(self) -> Float[Tensor, "*batch"]:
        """Probability of exactly one."""
        return torch.sigmoid(self._log_odds_beyond(1.0))

    @property
    def prob_inside(self) -> Float[Tensor, "*batch"]:
        """Probability of a number between zero and one."""
        # Of the difference of two sigmoids, in a form in which neither tail cancels.
        upper, lower = self._log_odds_beyond(0.0), self._log_odds_beyond(1.0)
        return torch.sigmoid(upper) * torch.sigmoid(-lower) * -torch.expm1(lower - upper)

    @property
    def expected_l0(self) -> Float[Tensor, "*batch"]:
        """Probability of a gate that is not zero: the expected L0 norm is the sum of these."""
        return torch.sigmoid(self._log_odds_beyond(0.0))

    @property
    def mean(self) -> Float[Tensor, "*batch"]:
        """The gate for test time, as the paper defines it: without noise, and not the exact expectation."""
        low, high = self.stretch
        return (low + (high - low) * self._wide_logits.sigmoid()).clamp(0.0, 1.0).to(self._parameter.dtype)

    def log_prob(self, value: Float[Tensor, "..."]) -> Float[Tensor, "..."]:
        """Log-probability of zeros and ones, and log-density of what is in between.

        Args:
            value: numbers in [0, 1] of shape ``(*sample_shape, *batch_shape)``.

        Returns:
            The same shape; the density is that of Lebesgue's measure with two atoms added.
        """
        value = self._checked(value)
        low, high = self.stretch
        wide = wide_dtype(self._parameter.dtype, value.dtype)
        logits, tau, z = torch.broadcast_tensors(self._wide_logits.to(wide), self.temperature.to(wide), value.to(wide))
        closed, opened = z <= 0, z >= 1
        inside = torch.where(closed | opened, 0.5, z)
        above, below = (inside - low).log(), (high - inside).log()
        density = (
            logistic_log_density(tau * (above - below) - logits) + tau.log() + math.log(high - low) - above - below
        )
        zero, one = logsigmoid(-self._log_odds_beyond(0.0)), logsigmoid(self._log_odds_beyond(1.0))
        return torch.where(closed, zero.to(wide), torch.where(opened, one.to(wide), density))
