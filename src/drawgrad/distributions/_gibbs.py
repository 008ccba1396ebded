"""Laws on vectors of zeros and ones whose log-probability is linear in the vector, up to a normalizer."""

from __future__ import annotations

from abc import abstractmethod

import torch
from torch.distributions import Distribution, register_kl

from drawgrad._typing import Float, Tensor
from drawgrad.distributions._numerics import log_indicator, wide_dtype

__all__ = ["Gibbs", "gibbs_kl"]


class Gibbs(Distribution):
    r"""A law of zeros and ones z of the form :math:`\log P(z) = \langle z, w \rangle - \log Z(w)`.

    A subclass gives the log-weights, the normalizer and its gradient, the marginals; the rest follows in float64.
    """

    @property
    @abstractmethod
    def _weights(self) -> Tensor:
        """Log-weights, shape ``(*batch, *event)``; -inf is an entry that is never one."""

    @abstractmethod
    def _log_normalizer(self, weights: Tensor) -> Tensor:
        """Log Z of some weights, shape ``(*batch,)``."""

    @abstractmethod
    def _marginals(self, weights: Tensor) -> Tensor:
        """Probabilities of ones, of the shape and dtype of the weights."""

    @property
    def marginals(self) -> Float[Tensor, "..."]:
        """Probability of each entry to be one, shape ``(*batch, *event)``."""
        return self._marginals(self._weights)

    @property
    def mean(self) -> Float[Tensor, "..."]:
        """Mean of the samples: the marginals."""
        return self.marginals

    @property
    def variance(self) -> Float[Tensor, "..."]:
        """Variance of each entry of the samples."""
        mean = self.marginals
        return mean * (1 - mean)

    def log_prob(self, value: Float[Tensor, "..."]) -> Float[Tensor, "..."]:
        """Log-probability of samples, shape ``(*sample_shape, *batch_shape)``.

        A gradient reaches ``value`` as well: the sum of the weights inside is linear in it.
        """
        if self._validate_args:
            self._validate_sample(value)
        weights, value = torch.broadcast_tensors(self._weights.double(), value)
        forbidden = weights == -torch.inf
        inside = torch.where(
            forbidden, log_indicator(value == 0, weights), value * torch.where(forbidden, 0.0, weights)
        )
        normalizer = self._log_normalizer(self._weights.double())
        return (self._sum(inside) - normalizer).to(wide_dtype(self._weights.dtype))

    def entropy(self) -> Float[Tensor, "*batch"]:
        """Entropy in nats, shape ``batch_shape``: the normalizer less the expected sum of the weights inside."""
        weights = self._weights.double()
        inside = self._marginals(weights) * torch.where(weights == -torch.inf, 0.0, weights)
        return (self._log_normalizer(weights) - self._sum(inside)).to(wide_dtype(self._weights.dtype))

    def _sum(self, values: Tensor) -> Tensor:
        """The sum over an event."""
        return values.flatten(values.dim() - len(self.event_shape)).sum(-1)


@register_kl(Gibbs, Gibbs)
def gibbs_kl(p: Gibbs, q: Gibbs) -> Tensor:
    """The divergence of two laws of one kind, shape ``batch_shape``; infinite where q forbids what p chooses."""
    if type(p)._marginals is not type(q)._marginals or p.event_shape != q.event_shape:
        raise ValueError(
            f"both distributions must be of one kind and of one event shape, but they are {p!r} and {q!r}; compare "
            "those that choose among the same"
        )
    ours, theirs = torch.broadcast_tensors(p._weights.double(), q._weights.double())
    marginals = p._marginals(ours)
    # What p never chooses costs nothing, whatever q thinks of it; what q alone forbids costs everything.
    never = (ours == -torch.inf) | (marginals == 0)
    forbidden = (theirs == -torch.inf) & ~never
    difference = torch.where(never | forbidden, 0.0, torch.where(never, 0.0, ours) - torch.where(never, 0.0, theirs))
    finite = p._sum(marginals * difference) - p._log_normalizer(ours) + q._log_normalizer(theirs)
    apart = forbidden.flatten(forbidden.dim() - len(p.event_shape)).any(-1)
    return torch.where(apart, torch.inf, finite).to(wide_dtype(p._weights.dtype, q._weights.dtype))
