"""The distribution of subsets of a given size whose probability is a product of weights."""

from __future__ import annotations

import itertools
import math

import torch
from torch.distributions import constraints, register_kl
from torch.types import _size

from drawgrad._typing import Float, Tensor
from drawgrad.distributions._base import MOST_STATES, KOfClasses
from drawgrad.distributions._gibbs import Gibbs, gibbs_kl
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


class KSubset(Gibbs, KOfClasses):
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

    @property
    def _weights(self) -> Tensor:
        return self.logits

    def _log_normalizer(self, weights: Tensor) -> Tensor:
        return log_esp(weights, self.k)

    def _marginals(self, weights: Tensor) -> Tensor:
        return subset_marginals(weights, self.k)

    @property
    def mode(self) -> Float[Tensor, "*batch classes"]:
        """The most probable subset: the k largest logits."""
        top = self.logits.topk(self.k, -1)[1]
        return torch.zeros_like(self.logits).scatter(-1, top, 1.0)

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
    found = gibbs_kl(p, q)
    # Subsets of different sizes have nothing in common.
    return found if p.k == q.k else torch.full_like(found, torch.inf)
