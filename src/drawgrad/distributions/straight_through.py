"""Discrete samples that carry the gradient of their relaxation."""

from __future__ import annotations

import torch
from torch.distributions import Bernoulli, Categorical, OneHotCategorical
from torch.distributions.utils import lazy_property
from torch.types import _size

from drawgrad._typing import Float, Num, Tensor
from drawgrad.distributions._numerics import log_indicator
from drawgrad.distributions._relaxation import BinaryRelaxation, CategoricalRelaxation
from drawgrad.functional import binary_concrete, gumbel_softmax

__all__ = ["RelaxedBernoulliStraightThrough", "RelaxedOneHotCategoricalStraightThrough"]


class RelaxedOneHotCategoricalStraightThrough(CategoricalRelaxation, OneHotCategorical):
    """A one-hot categorical distribution whose samples carry the gradient of the Gumbel-Softmax.

    Forward, ``rsample`` is an exact one-hot sample; backward, it is the relaxed sample at the temperature. So in all
    else (``log_prob``, ``entropy``, ``mean``, ``enumerate_support``, the KL divergence) this is torch's
    ``OneHotCategorical``, and the temperature shapes the gradient of samples only.

    ``log_prob`` is linear in the value, so that a sample gets a gradient there: without it, a KL divergence that is
    estimated from samples would have none.

    Args:
        temperature: the temperature, positive: a number, or a tensor of the batch shape, with or without a last
            dimension of 1.
        probs: class probabilities, shape ``(*batch, k)``, normalized by their sum. Give these or ``logits``.
        logits: log-probabilities up to a constant, shape ``(*batch, k)``.
        validate_args: whether to check the values of tensors, here and in ``log_prob``; torch's default if None.

    Raises:
        ValueError: if both or neither of ``probs`` and ``logits`` are given, if a shape does not fit, or if a value
            breaks its rule.
        TypeError: if a parameter is not of a floating dtype.

    Example:
        >>> import torch
        >>> logits = torch.zeros(2, 3, requires_grad=True)
        >>> q = RelaxedOneHotCategoricalStraightThrough(0.5, logits=logits)
        >>> z = q.rsample((1000,), seed=0)
        >>> sorted(z.unique().tolist()), z.requires_grad
        ([0.0, 1.0], True)

    References:
        Jang, Gu, Poole. Categorical reparameterization with Gumbel-Softmax. ICLR 2017.
    """

    arg_constraints = CategoricalRelaxation.arg_constraints

    @lazy_property
    def _categorical(self) -> Categorical:
        """What ``OneHotCategorical`` reads its parameters from."""
        categorical = Categorical(logits=self.logits, validate_args=False)
        categorical.probs = self.probs
        return categorical

    def rsample(
        self,
        sample_shape: _size = torch.Size(),  # noqa: B008  torch's signature
        *,
        generator: torch.Generator | None = None,
        seed: int | Tensor | None = None,
    ) -> Float[Tensor, "*shape k"]:
        """Draw one-hot samples by :func:`drawgrad.functional.gumbel_softmax` with ``hard=True``."""
        logits = self._scores.expand(self._extended_shape(sample_shape))
        return gumbel_softmax(logits, self._tau, hard=True, generator=generator, seed=seed)

    def log_prob(self, value: Num[Tensor, "*shape k"]) -> Float[Tensor, "..."]:
        """Log-probability of one-hot vectors.

        Args:
            value: one-hot vectors, shape ``(*sample_shape, *batch_shape, k)``.

        Returns:
            ``(value * logits).sum(-1)``, shape ``(*sample_shape, *batch_shape)``, float32 at least; -inf for a class
            that is never drawn.
        """
        value = self._checked(value)
        logits, value = torch.broadcast_tensors(self._log_probs, value)
        allowed = logits > -torch.inf
        impossible = (~allowed & (value != 0)).any(-1)
        return torch.where(impossible, -torch.inf, (value * torch.where(allowed, logits, 0.0)).sum(-1))

    def entropy(self) -> Float[Tensor, "*batch"]:
        """Entropy in nats, shape ``batch_shape``, float32 at least."""
        return Categorical(logits=self._log_probs, validate_args=False).entropy()


class RelaxedBernoulliStraightThrough(BinaryRelaxation, Bernoulli):
    """A Bernoulli distribution whose samples carry the gradient of the binary Concrete distribution.

    Forward, ``rsample`` is an exact sample, 0 or 1; backward, it is the relaxed sample at the temperature. So in all
    else (``log_prob``, ``entropy``, ``mean``, ``enumerate_support``, the KL divergence) this is torch's ``Bernoulli``,
    and the temperature shapes the gradient of samples only.

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
        >>> q = RelaxedBernoulliStraightThrough(0.5, logits=torch.zeros(2, requires_grad=True))
        >>> z = q.expand((3, 2)).rsample((1000,), seed=0)
        >>> sorted(z.unique().tolist()), z.requires_grad
        ([0.0, 1.0], True)

    References:
        Jang, Gu, Poole. Categorical reparameterization with Gumbel-Softmax. ICLR 2017.
    """

    arg_constraints = BinaryRelaxation.arg_constraints

    @lazy_property
    def _param(self) -> Tensor:
        """What ``Bernoulli`` reads dtype and device from."""
        return self._parameter

    def rsample(
        self,
        sample_shape: _size = torch.Size(),  # noqa: B008  torch's signature
        *,
        generator: torch.Generator | None = None,
        seed: int | Tensor | None = None,
    ) -> Float[Tensor, "..."]:
        """Draw samples in {0, 1} by :func:`drawgrad.functional.binary_concrete` with ``hard=True``."""
        logits = self.logits.expand(self._extended_shape(sample_shape))
        return binary_concrete(logits, self.temperature, hard=True, generator=generator, seed=seed)

    def log_prob(self, value: Num[Tensor, "..."]) -> Float[Tensor, "..."]:
        """Log-probability of zeros and ones of shape ``(*sample_shape, *batch_shape)``, likewise, float32 at least."""
        value = self._checked(value)
        logits, value = torch.broadcast_tensors(self._wide_logits, value)
        certain = logits.isinf()
        log_probability = _expected_log_probability(value, torch.where(certain, 0.0, logits))
        return torch.where(certain, log_indicator(value == (logits > 0), log_probability), log_probability)

    def entropy(self) -> Float[Tensor, "*batch"]:
        """Entropy in nats, shape ``batch_shape``, float32 at least."""
        certain = self._wide_logits.isinf()
        logits = torch.where(certain, 0.0, self._wide_logits)
        return torch.where(certain, 0.0, -_expected_log_probability(logits.sigmoid(), logits))


def _expected_log_probability(ones: Tensor, logits: Tensor) -> Tensor:
    """Log-probability of an outcome that is one with probability ``ones``."""
    log_sigmoid = torch.nn.functional.logsigmoid
    return ones * log_sigmoid(logits) + (1 - ones) * log_sigmoid(-logits)
