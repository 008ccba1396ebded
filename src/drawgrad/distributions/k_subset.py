"""The distribution of subsets of a given size whose probability is a product of weights."""

from __future__ import annotations

import itertools
import math

import torch
from torch.distributions import constraints, register_kl
from torch.types import _size

from drawgrad._typing import Float, Tensor
from drawgrad.distributions._base import MOST_STATES, KOfClasses
from drawgrad.distributions._numerics import log_indicator, wide_dtype
from drawgrad.functional import log_esp, subset_marginals, subset_sample

__all__ = ["KSubset"]


class _KHot(constraints.Constraint):
    """Vectors of zeros and exactly k ones."""

    is_discrete = True
    event_dim = 1

    def __init__(self, k: int) -> None:
        self.k = k
        super().__init__()

    def check(self, value: Tensor) -> Tensor:
        return ((value == 0) | (value == 1)).all(-1) & (value.sum(-1) == self.k)


class KSubset(KOfClasses):
    r"""Subsets of k out of K classes, with a probability proportional to the product of the weights inside.

    .. math:: P(S) = \frac{1}{e_k(w)} \prod_{i \in S} w_i, \qquad w_i = e^{l_i}, \quad |S| = k

    These are K independent Bernoulli variables of log-odds l, given that k of them are ones (conditional Poisson
    sampling; the distribution of SIMPLE). Samples are vectors of zeros and k ones. Log-probability, marginals, entropy
    and samples are exact, in O(K k) work, and are computed in float64.

    Args:
        logits: log-weights, shape ``(*batch, classes)``. -inf is a class that is never chosen; a constant added to a
            row makes no difference.
        k: size of the subsets, from 0 to K.
        validate_args: whether to check the values of tensors, here and in ``log_prob``; torch's default if None.

    Raises:
        ValueError: if ``k`` is not between 0 and K, or if a value breaks its rule.
        TypeError: if the logits are not of a floating dtype, or ``k`` is no integer.

    Example:
        >>> import torch
        >>> q = KSubset(torch.tensor([0.0, 0.0, 1.0, 2.0]), 2)
        >>> q.sample(seed=0)
        tensor([1., 0., 1., 0.])
        >>> q.marginals
        tensor([0.2689, 0.2689, 0.6180, 0.8442])

    References:
        Chen, Dempster, Liu. Weighted finite population sampling to maximize entropy. Biometrika 81, 1994.
        Ahmed, Zeng, Niepert, Van den Broeck. SIMPLE: a gradient estimator for k-subset sampling. ICLR 2023.
    """

    _settings = ("k",)

    def __init__(self, logits: Float[Tensor, "*batch classes"], k: int, validate_args: bool | None = None) -> None:
        self._set(logits, k)
        super().__init__(logits.shape[:-1], logits.shape[-1:], validate_args=validate_args)
        if self._validate_args:
            valid = (logits < torch.inf).all(-1) & ((logits > -torch.inf).sum(-1) >= k)
            self._check_values(valid, f"numbers or -inf, with {k} in each row above -inf")

    @constraints.dependent_property(is_discrete=True, event_dim=1)
    def support(self) -> constraints.Constraint:
        """Vectors of zeros and k ones."""
        return _KHot(self.k)

    def sample(
        self,
        sample_shape: _size = torch.Size(),  # noqa: B008  torch's signature
        *,
        generator: torch.Generator | None = None,
        seed: int | Tensor | None = None,
    ) -> Float[Tensor, "..."]:
        """Draw subsets, exactly; no gradient reaches the logits.

        Args:
            sample_shape: shape of independent draws for each element of the batch.
            generator: draws the seed; torch's default generator of the logits' device if None.
            seed: the seed itself, an int or a 0-dim int64 tensor, instead of ``generator``.

        Returns:
            Zeros and k ones, shape ``(*sample_shape, *batch_shape, classes)``, in the dtype of the logits.
        """
        logits = self.logits.expand(self._extended_shape(sample_shape))
        return subset_sample(logits, self.k, generator=generator, seed=seed)

    def log_prob(self, value: Float[Tensor, "..."]) -> Float[Tensor, "..."]:
        """Log-probability of subsets, shape ``(*sample_shape, *batch_shape)`` for values with one more dimension.

        A gradient reaches ``value`` as well: the sum of the logits inside is linear in it.
        """
        if self._validate_args:
            self._validate_sample(value)
        logits, value = torch.broadcast_tensors(self.logits.double(), value)
        forbidden = logits == -torch.inf
        inside = torch.where(forbidden, log_indicator(value == 0, logits), value * torch.where(forbidden, 0.0, logits))
        return (inside.sum(-1) - self._log_normalizer).to(wide_dtype(self.logits.dtype))

    @property
    def _log_normalizer(self) -> Tensor:
        return log_esp(self.logits.double(), self.k)

    @property
    def marginals(self) -> Float[Tensor, "*batch classes"]:
        """Probability of each class to be in the subset, by :func:`drawgrad.functional.subset_marginals`."""
        return subset_marginals(self.logits, self.k)

    @property
    def mean(self) -> Float[Tensor, "*batch classes"]:
        """Mean of the samples: the marginals."""
        return self.marginals

    @property
    def variance(self) -> Float[Tensor, "*batch classes"]:
        """Variance of each entry of the samples."""
        mean = self.marginals
        return mean * (1 - mean)

    @property
    def mode(self) -> Float[Tensor, "*batch classes"]:
        """The most probable subset: the k largest logits."""
        top = self.logits.topk(self.k, -1)[1]
        return torch.zeros_like(self.logits).scatter(-1, top, 1.0)

    def entropy(self) -> Float[Tensor, "*batch"]:
        """Entropy in nats, shape ``batch_shape``: the normalizer less the expected sum of the logits inside."""
        logits = self.logits.double()
        known = torch.where(logits == -torch.inf, 0.0, logits)
        inside = (subset_marginals(logits, self.k) * known).sum(-1)
        return (log_esp(logits, self.k) - inside).to(wide_dtype(self.logits.dtype))

    def enumerate_support(self, expand: bool = True) -> Float[Tensor, "states *batch classes"]:
        """All subsets in lexicographic order, for at most 2^20 of them.

        Raises:
            ValueError: if there are more.
        """
        classes = self.event_shape[0]
        states = math.comb(classes, self.k)
        if states > MOST_STATES:
            raise ValueError(
                f"enumerate_support makes {MOST_STATES} subsets at most, but there are {states} of {self.k} out of "
                f"{classes}; sample instead, or use marginals and entropy, which need no enumeration"
            )
        inside = torch.tensor(list(itertools.combinations(range(classes), self.k)), device=self.logits.device)
        subsets = self.logits.new_zeros(states, classes).scatter(-1, inside.long().reshape(states, self.k), 1.0)
        return self._listed(subsets, expand)


@register_kl(KSubset, KSubset)
def _kl(p: KSubset, q: KSubset) -> Tensor:
    if p.event_shape != q.event_shape:
        raise ValueError(
            f"both distributions must be of the same number of classes, but they have {p.event_shape[0]} and "
            f"{q.event_shape[0]}"
        )
    ours, theirs = torch.broadcast_tensors(p.logits.double(), q.logits.double())
    dtype = wide_dtype(p.logits.dtype, q.logits.dtype)
    if p.k != q.k:
        return torch.full(ours.shape[:-1], torch.inf, dtype=dtype, device=ours.device)
    marginals = subset_marginals(ours, p.k)
    # A class that p never chooses costs nothing, whatever q thinks of it; one that q alone forbids costs everything.
    never = (ours == -torch.inf) if p.k else torch.ones_like(ours, dtype=torch.bool)
    forbidden = (theirs == -torch.inf) & ~never
    difference = torch.where(never | forbidden, 0.0, torch.where(never, 0.0, ours) - torch.where(never, 0.0, theirs))
    finite = (marginals * difference).sum(-1) - log_esp(ours, p.k) + log_esp(theirs, q.k)
    return torch.where(forbidden.any(-1), torch.inf, finite).to(dtype)
