"""Several categorical variables with different numbers of classes, whose logits lie in one tensor."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import Any

import torch
from torch.distributions import Independent, OneHotCategorical, register_kl
from torch.types import _size

from drawgrad._checks import check_count, check_floating
from drawgrad._typing import Float, Int, Tensor
from drawgrad.distributions._base import MOST_STATES
from drawgrad.functional import categorical_kl, gumbel_max

__all__ = ["MultiCategorical", "PaddedOneHotCategorical"]


class PaddedOneHotCategorical(OneHotCategorical):
    """Independent variables of the last batch dimension, each with its own number of classes; the rest is impossible.

    Args:
        logits: shape ``(*batch, variables, most)``, -inf beyond the classes of a variable.
        sizes: numbers of classes.
        validate_args: whether to check the values of tensors; torch's default if None.
    """

    def __init__(
        self, logits: Float[Tensor, "*batch variables most"], sizes: tuple[int, ...], validate_args: bool | None = None
    ) -> None:
        self.sizes = sizes
        super().__init__(logits=logits, validate_args=validate_args)

    def expand(self, batch_shape: _size, _instance: Any = None) -> Any:
        """The distribution with its batch expanded to ``batch_shape``; no parameter is copied."""
        new = self._get_checked_instance(PaddedOneHotCategorical, _instance)
        new.sizes = self.sizes
        return super().expand(batch_shape, new)


class MultiCategorical(Independent[PaddedOneHotCategorical]):
    r"""Independent categorical variables of K_1, K_2, ... classes: one event, and one tensor of logits.

    .. math:: P(z) = \prod_v \mathrm{softmax}(l_v)_{z_v}, \qquad l = (l_1, l_2, \dots) \text{ in one row}

    A sample has one row of ``max(sizes)`` numbers for each variable: its one-hot vector, and zeros beyond its classes.
    The padding is exact: it has no probability, no gradient and no part in entropy or divergence. Every estimator that
    takes ``OneHotCategorical`` takes this distribution.

    Args:
        logits: log-probabilities up to a constant of each variable, shape ``(*batch, sum(sizes))``, the classes of one
            variable after those of the other; -inf is a class that is never drawn.
        sizes: numbers of classes, each from 1 on.
        validate_args: whether to check the values of tensors; torch's default if None.

    Raises:
        ValueError: if the logits do not have ``sum(sizes)`` classes, or if a size is not positive.
        TypeError: if the logits are not of a floating dtype.

    Example:
        >>> import torch
        >>> q = MultiCategorical(torch.zeros(5, requires_grad=True), [2, 3])
        >>> z = q.sample(seed=0)
        >>> z.shape, q.indices(z), q.flat(z)
        (torch.Size([2, 3]), tensor([0, 1]), tensor([1., 0., 0., 1., 0.]))
        >>> q.entropy().exp().round()
        tensor(6., grad_fn=<RoundBackward0>)
    """

    has_enumerate_support = True

    def __init__(
        self, logits: Float[Tensor, "*batch classes"], sizes: Sequence[int], validate_args: bool | None = None
    ) -> None:
        check_floating(logits, "logits")
        for size in sizes:
            check_count(size, "each of sizes", minimum=1)
        self.sizes = tuple(int(size) for size in sizes)
        if not self.sizes or logits.dim() == 0 or logits.shape[-1] != sum(self.sizes):
            raise ValueError(
                f"logits must have the classes of all variables along their last dimension, {sum(self.sizes)} for "
                f"sizes = {self.sizes}, but their shape is {tuple(logits.shape)}; put those of one variable after the "
                "other"
            )
        most = max(self.sizes)
        rows = [
            torch.nn.functional.pad(part, (0, most - part.shape[-1]), value=-torch.inf)
            for part in logits.split(list(self.sizes), -1)
        ]
        base = PaddedOneHotCategorical(torch.stack(rows, -2), self.sizes, validate_args=validate_args)
        super().__init__(base, 1, validate_args=validate_args)

    @property
    def logits(self) -> Float[Tensor, "*batch classes"]:
        """Normalized log-probabilities in one row."""
        return self.flat(self.base_dist.logits)

    @property
    def probs(self) -> Float[Tensor, "*batch classes"]:
        """Probabilities in one row."""
        return self.flat(self.base_dist.probs)

    def expand(self, batch_shape: _size, _instance: Any = None) -> Any:
        """The distribution with its batch expanded to ``batch_shape``; no parameter is copied."""
        new = self._get_checked_instance(MultiCategorical, _instance)
        new.sizes = self.sizes
        return super().expand(batch_shape, new)

    def sample(
        self,
        sample_shape: _size = torch.Size(),  # noqa: B008  torch's signature
        *,
        generator: torch.Generator | None = None,
        seed: int | Tensor | None = None,
    ) -> Float[Tensor, "..."]:
        """Draw one-hot vectors of shape ``(*sample_shape, *batch_shape, variables, max(sizes))``.

        Args:
            sample_shape: shape of independent draws for each element of the batch.
            generator: draws the seed; torch's default generator of the logits' device if None.
            seed: the seed itself, an int or a 0-dim int64 tensor, instead of ``generator``.
        """
        logits = self.base_dist.logits.detach()
        index = gumbel_max(logits.expand(self._extended_shape(sample_shape)), generator=generator, seed=seed)
        return torch.nn.functional.one_hot(index, logits.shape[-1]).to(logits.dtype)

    def indices(self, z: Float[Tensor, "..."]) -> Int[Tensor, "..."]:
        """The class of each variable, shape ``(..., variables)`` for samples ``(..., variables, max(sizes))``."""
        return z.argmax(-1)

    def flat(self, z: Float[Tensor, "..."]) -> Float[Tensor, "..."]:
        """Samples in one row without padding, shape ``(..., sum(sizes))``; a gradient passes."""
        return torch.cat([z[..., place, :size] for place, size in enumerate(self.sizes)], -1)

    def enumerate_support(self, expand: bool = True) -> Float[Tensor, "states *batch variables most"]:
        """All samples, the last variable counted first, for at most 2^20 of them.

        Raises:
            ValueError: if there are more.
        """
        states = math.prod(self.sizes)
        if states > MOST_STATES:
            raise ValueError(
                f"enumerate_support makes {MOST_STATES} samples at most, but there are {states} of variables with "
                f"{self.sizes} classes; sample instead"
            )
        logits = self.base_dist.logits
        every = torch.tensor(list(itertools.product(*map(range, self.sizes))), device=logits.device)
        listed = torch.nn.functional.one_hot(every, logits.shape[-1]).to(logits.dtype)
        listed = listed.reshape(states, *(1,) * len(self.batch_shape), *self.event_shape)
        return listed.expand(-1, *self.batch_shape, -1, -1) if expand else listed

    def __repr__(self) -> str:
        return f"{type(self).__name__}(sizes: {self.sizes}, batch_shape: {tuple(self.batch_shape)})"


@register_kl(MultiCategorical, MultiCategorical)
def _kl(p: MultiCategorical, q: MultiCategorical) -> Tensor:
    if p.sizes != q.sizes:
        raise ValueError(f"p and q must have variables of the same sizes, but they have {p.sizes} and {q.sizes}")
    return categorical_kl(p.base_dist.logits, q.base_dist.logits).sum(-1)
