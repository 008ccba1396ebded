"""The distribution of rankings: classes drawn one after the other without replacement."""

from __future__ import annotations

import itertools
import math

import torch
from torch.distributions import constraints
from torch.types import _size

from drawgrad._typing import Float, Int, Tensor
from drawgrad.distributions._base import MOST_STATES, KOfClasses
from drawgrad.distributions._numerics import wide_dtype
from drawgrad.functional import gumbel_top_k

__all__ = ["PlackettLuce"]


class _Ranking(constraints.Constraint):
    """Vectors of different numbers below ``classes``; -1 stands at the end, where no class is left."""

    is_discrete = True
    event_dim = 1

    def __init__(self, classes: int) -> None:
        self.classes = classes
        super().__init__()

    def check(self, value: Tensor) -> Tensor:
        inside = ((value >= -1) & (value < self.classes)).all(-1)
        ordered = value.sort(-1)[0]
        twice = (ordered[..., 1:] == ordered[..., :-1]) & (ordered[..., 1:] >= 0)
        early = (value[..., :-1] < 0) & (value[..., 1:] >= 0)
        return inside & ~twice.any(-1) & ~early.any(-1) & (value.round() == value).all(-1)


class PlackettLuce(KOfClasses):
    r"""Rankings of k out of K classes: each place is drawn from the classes that are left, by softmax.

    .. math:: P(v) = \prod_{j=1}^k \frac{e^{l_{v_j}}}{\sum_{i \notin \{v_1, \dots, v_{j-1}\}} e^{l_i}}

    Samples are the indices of the classes, best one first, int64. Log-probabilities are computed in float64.

    Args:
        logits: log-weights, shape ``(*batch, classes)``. -inf is a class that is never ranked; a constant added to a
            row makes no difference.
        k: length of the ranking, from 0 to K; K if None. Where fewer classes can be ranked, the ranking ends with -1.
        validate_args: whether to check the values of tensors, here and in ``log_prob``; torch's default if None.

    Raises:
        ValueError: if ``k`` is not between 0 and K, or if a value breaks its rule.
        TypeError: if the logits are not of a floating dtype, or ``k`` is no integer.

    Example:
        >>> import torch
        >>> q = PlackettLuce(torch.tensor([0.1, 0.2, 0.7]).log(), k=2)
        >>> q.sample(seed=0)
        tensor([2, 0])
        >>> q.log_prob(torch.tensor([2, 0])).exp()  # 0.7 * 0.1 / 0.3
        tensor(0.2333)

    References:
        Plackett. The analysis of permutations. Applied Statistics 24, 1975. Luce. Individual choice behavior. 1959.
    """

    _settings = ("k",)

    def __init__(
        self, logits: Float[Tensor, "*batch classes"], k: int | None = None, validate_args: bool | None = None
    ) -> None:
        everything = logits.shape[-1] if logits.dim() else 0
        self._set(logits, everything if k is None else k)
        super().__init__(logits.shape[:-1], torch.Size([self.k]), validate_args=validate_args)
        if self._validate_args:
            self._check_values((logits < torch.inf).all(-1), "numbers or -inf")

    @constraints.dependent_property(is_discrete=True, event_dim=1)
    def support(self) -> constraints.Constraint:
        """Different indices of classes."""
        return _Ranking(self.logits.shape[-1])

    def sample(
        self,
        sample_shape: _size = torch.Size(),  # noqa: B008  torch's signature
        *,
        generator: torch.Generator | None = None,
        seed: int | Tensor | None = None,
    ) -> Int[Tensor, "..."]:
        """Draw rankings by :func:`drawgrad.functional.gumbel_top_k`.

        Args:
            sample_shape: shape of independent draws for each element of the batch.
            generator: draws the seed; torch's default generator of the logits' device if None.
            seed: the seed itself, an int or a 0-dim int64 tensor, instead of ``generator``.

        Returns:
            Indices, int64, shape ``(*sample_shape, *batch_shape, k)``.
        """
        logits = self.logits.expand(torch.Size(sample_shape) + self.logits.shape)
        return gumbel_top_k(logits, self.k, generator=generator, seed=seed)

    def log_prob(self, value: Int[Tensor, "..."]) -> Float[Tensor, "..."]:
        """Log-probability of rankings of shape ``(*sample_shape, *batch_shape, k)``.

        Returns:
            Shape ``(*sample_shape, *batch_shape)``; -inf where a class is ranked twice or cannot be ranked at all, or
            where a place is empty although a class is left.
        """
        if self._validate_args:
            self._validate_sample(value)
        batch = torch.broadcast_shapes(value.shape[:-1], self.logits.shape[:-1])
        value = value.expand(*batch, -1).long()
        logits = self.logits.double().expand(*batch, -1)
        empty = value < 0
        place = torch.where(empty, 0, value)
        times = torch.zeros_like(logits).scatter_add(-1, place, (~empty).double())
        # A finite stand-in for -inf keeps the gradients finite; no number of weights adds up to what it means.
        low = torch.finfo(torch.float64).min / 4
        forbidden = logits == -torch.inf
        known = torch.where(forbidden, low, logits)
        chosen = torch.where(empty, low, known.gather(-1, place))
        rest = torch.where(times > 0, low, known)
        rest = rest.logsumexp(-1, keepdim=True) if logits.shape[-1] else chosen.new_full((*batch, 1), low)
        remaining = torch.cat([chosen, rest], -1).flip(-1).logcumsumexp(-1).flip(-1)[..., :-1]
        nothing_left = remaining <= low / 2
        wrong = (times > 1).any(-1)
        wrong = wrong | (empty & ~nothing_left).any(-1) | (~empty & forbidden.gather(-1, place)).any(-1)
        terms = torch.where(empty, 0.0, torch.where(empty, 0.0, chosen - remaining))
        return torch.where(wrong, -torch.inf, terms.sum(-1)).to(wide_dtype(self.logits.dtype))

    @property
    def mode(self) -> Int[Tensor, "*batch k"]:
        """The most probable ranking: the k largest logits in descending order."""
        top, index = self.logits.topk(self.k, -1)
        return torch.where(top == -torch.inf, -1, index)

    def enumerate_support(self, expand: bool = True) -> Int[Tensor, "states *batch k"]:
        """All rankings of k classes in lexicographic order, for at most 2^20 of them.

        Raises:
            ValueError: if there are more.
        """
        classes = self.logits.shape[-1]
        states = math.perm(classes, self.k)
        if states > MOST_STATES:
            raise ValueError(
                f"enumerate_support makes {MOST_STATES} rankings at most, but there are {states} of {self.k} out of "
                f"{classes}; sample instead"
            )
        rankings = torch.tensor(list(itertools.permutations(range(classes), self.k)), device=self.logits.device)
        return self._listed(rankings.long().reshape(states, self.k), expand)
