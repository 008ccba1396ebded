"""The distribution of permutations whose probability is a product of weights of pairs."""

from __future__ import annotations

import itertools
import math

import torch
from torch.distributions import constraints
from torch.types import _size

from drawgrad._typing import Float, Tensor
from drawgrad.distributions._base import MOST_STATES, Expandable
from drawgrad.distributions._gibbs import Gibbs
from drawgrad.functional import assignment, log_permanent, permutation_marginals, permutation_sample

__all__ = ["GibbsPermutation"]


class _PermutationMatrix(constraints.Constraint):
    """Square matrices of zeros and ones with a single one in each row and column."""

    is_discrete = True
    event_dim = 2

    def check(self, value: Tensor) -> Tensor:
        once = (value.sum(-1) == 1).all(-1) & (value.sum(-2) == 1).all(-1)
        return once & ((value == 0) | (value == 1)).flatten(-2).all(-1)


class GibbsPermutation(Gibbs, Expandable):
    r"""Permutation matrices, with a probability proportional to the product of the weights of their ones.

    .. math:: p(P) = \frac{1}{\mathrm{per}(e^S)} \exp \langle S, P \rangle

    Everything is exact, for at most 16 rows: log-probability, marginals, entropy, divergence and samples. That is what
    unbiased estimators need. The best assignment of scores with Gumbel noise, which ``GumbelSinkhorn`` relaxes, is
    another law, whose probabilities nobody knows in closed form; it serves any number of rows, with a biased gradient.

    Args:
        scores: log-weights of the pairs of a row and a column, shape ``(*batch, n, n)``; -inf is a pair that never
            occurs. A constant added to a row or a column makes no difference.
        validate_args: whether to check the values of tensors, here and in ``log_prob``; torch's default if None.

    Raises:
        ValueError: if the scores are not square or have more than 16 rows, or if they allow no permutation.
        TypeError: if they are not of a floating dtype.

    Example:
        >>> import torch
        >>> q = GibbsPermutation(torch.tensor([[1.0, 2.0], [3.0, 4.0]]).log())
        >>> q.marginals
        tensor([[0.4000, 0.6000],
                [0.6000, 0.4000]])
        >>> q.log_prob(torch.eye(2)).exp()
        tensor(0.4000)

    References:
        Jerrum, Sinclair, Vigoda. A polynomial-time approximation algorithm for the permanent of a matrix with
        non-negative entries. Journal of the ACM 51, 2004 (the law, and why larger ones are hard).
    """

    arg_constraints = {}  # noqa: RUF012  torch's declaration; the values are checked by __init__
    support = _PermutationMatrix()
    has_enumerate_support = True
    _tensors = {"scores": 2}  # noqa: RUF012

    def __init__(self, scores: Float[Tensor, "*batch n n"], validate_args: bool | None = None) -> None:
        self.scores = scores
        # Refuses what has no normalizer.
        total = log_permanent(scores.detach())
        super().__init__(scores.shape[:-2], scores.shape[-2:], validate_args=validate_args)
        if self._validate_args and not torch._is_all_true(total.isfinite()):
            raise ValueError(
                f"scores must be numbers or -inf and allow a permutation, but a tensor of shape {tuple(scores.shape)} "
                f"holds {scores[~total.isfinite()][0].tolist()}; allow more pairs, or pass validate_args=False to skip "
                f"this check"
            )

    @property
    def _weights(self) -> Tensor:
        return self.scores

    def _log_normalizer(self, weights: Tensor) -> Tensor:
        return log_permanent(weights)

    def _marginals(self, weights: Tensor) -> Tensor:
        return permutation_marginals(weights)

    @property
    def param_shape(self) -> torch.Size:
        """Shape of the scores."""
        return self.scores.shape

    def sample(
        self,
        sample_shape: _size = torch.Size(),  # noqa: B008  torch's signature
        *,
        generator: torch.Generator | None = None,
        seed: int | Tensor | None = None,
    ) -> Float[Tensor, "..."]:
        """Draw permutation matrices, exactly; no gradient reaches the scores.

        Args:
            sample_shape: shape of independent draws for each element of the batch.
            generator: draws the seed; torch's default generator of the scores' device if None.
            seed: the seed itself, an int or a 0-dim int64 tensor, instead of ``generator``.

        Returns:
            Zeros and ones, shape ``(*sample_shape, *batch_shape, n, n)``, in the dtype of the scores.
        """
        scores = self.scores.expand(self._extended_shape(sample_shape))
        columns = permutation_sample(scores, generator=generator, seed=seed)
        every = torch.arange(scores.shape[-1], device=scores.device)
        return (columns[..., None] == every).to(scores.dtype)

    @property
    def mode(self) -> Float[Tensor, "*batch n n"]:
        """The most probable permutation, by :func:`drawgrad.functional.assignment`, which needs SciPy."""
        return assignment(self.scores)

    def enumerate_support(self, expand: bool = True) -> Float[Tensor, "states *batch n n"]:
        """All permutation matrices in lexicographic order of the columns of their rows, for at most 9 rows.

        Raises:
            ValueError: if there are more than 2^20.
        """
        n = self.event_shape[0]
        if math.factorial(n) > MOST_STATES:
            raise ValueError(
                f"enumerate_support makes {MOST_STATES} permutations at most, but there are {math.factorial(n)} of {n} "
                f"rows; sample instead, or use marginals and entropy, which need no enumeration"
            )
        columns = torch.tensor(list(itertools.permutations(range(n))), device=self.scores.device).long()
        every = torch.arange(n, device=self.scores.device)
        matrices = (columns.reshape(-1, n)[..., None] == every).to(self.scores.dtype)
        matrices = matrices.reshape(-1, *(1,) * len(self.batch_shape), n, n)
        return matrices.expand(-1, *self.batch_shape, -1, -1) if expand else matrices

    def __repr__(self) -> str:
        return f"{type(self).__name__}(scores: {self.scores.shape})"
