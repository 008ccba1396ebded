"""Fewer tokens for the rest of a network: some are chosen, or like ones are merged."""

from __future__ import annotations

import math
from functools import partial
from typing import NamedTuple

import torch
from torch import nn

from drawgrad._checks import check_count, check_floating, check_mask, check_nonnegative, check_number
from drawgrad._typing import Bool, Float, Int, Tensor
from drawgrad.estimators import SurrogateEstimator
from drawgrad.nn.choice import Choice
from drawgrad.variables import Subset

__all__ = ["Merged", "Selected", "TokenMerger", "TokenSelector"]

FIRST = 100.0
"""The logit of padding, which is merged before anything else."""


class Selected(NamedTuple):
    """Tokens that were chosen, in their order.

    Args:
        tokens: shape ``(*batch, k, width)``; zero for padding.
        positions: where they were, int64, shape ``(*batch, k)``.
        mask: True for tokens, False for padding, of which there is some where fewer than k tokens were given.
    """

    tokens: Float[Tensor, "*batch k width"]
    positions: Int[Tensor, "*batch k"]
    mask: Bool[Tensor, "*batch k"]


class Merged(NamedTuple):
    """Tokens of which some were merged, in the order of where they stand.

    Args:
        tokens: shape ``(*batch, k, width)``; means of what was merged.
        positions: where each stood, or the one that others were merged into, int64, shape ``(*batch, k)``.
        sizes: how many tokens each is the mean of, shape ``(*batch, k)``; zero for padding.
        mask: True for tokens, False for padding.
    """

    tokens: Float[Tensor, "*batch k width"]
    positions: Int[Tensor, "*batch k"]
    sizes: Float[Tensor, "*batch k"]
    mask: Bool[Tensor, "*batch k"]


class _Shortening(nn.Module):
    """What both ways have in common: how many tokens are left, and a choice of a set of them."""

    def __init__(
        self,
        width: int,
        k: int | None,
        keep: float | None,
        fixed: int,
        estimator: SurrogateEstimator | None,
        device: torch.device | str | None,
        dtype: torch.dtype | None,
    ) -> None:
        super().__init__()
        check_count(width, "width", minimum=1)
        check_count(fixed, "fixed")
        if (k is None) == (keep is None):
            raise ValueError(f"either k or keep must be given, but they are {k!r} and {keep!r}; give one of them")
        if k is not None:
            check_count(k, "k", minimum=1)
        if keep is not None:
            check_number(keep, "keep")
        if keep is not None and not 0 < keep <= 1:
            raise ValueError(f"keep must be a share above 0 and up to 1, but it is {keep!r}; divide by 100")
        self.width, self.k, self.keep, self.fixed = width, k, keep, fixed
        self.choice = Choice(estimator, partial(Subset, k=1), device=device, dtype=dtype)

    def left(self, tokens: int) -> int:
        """How many of ``tokens`` are left."""
        if self.k is not None:
            return min(self.k, tokens)
        assert self.keep is not None
        return math.ceil(self.keep * tokens)

    def checked(self, x: Tensor, mask: Tensor | None) -> Tensor:
        """The mask, of the shape of the tokens."""
        check_floating(x, "x")
        if x.dim() < 2 or x.shape[-1] != self.width:
            raise ValueError(
                f"x must be tokens of {self.width} features, shape (*batch, tokens, {self.width}), but its shape is "
                f"{tuple(x.shape)}; check the width"
            )
        if mask is None:
            return torch.ones(x.shape[:-1], dtype=torch.bool, device=x.device)
        check_mask(mask, x[..., 0])
        return mask.expand(x.shape[:-1])

    def extra_repr(self) -> str:
        """The sizes."""
        left = f"k={self.k}" if self.keep is None else f"keep={self.keep}"
        return f"{self.width}, {left}" + (f", fixed={self.fixed}" if self.fixed else "")


class TokenSelector(_Shortening):
    r"""Keep k tokens of a sequence, those of the highest scores, and drop the others.

    .. math:: s_i = w^\top x_i, \qquad S = \mathrm{top}_k(s + g), \qquad y_j = x_{S_j}

    Training draws the set with Gumbel noise g; evaluation takes the k best. The forward pass is hard, so that whatever
    comes after works on k tokens. A chosen token is multiplied with its indicator, a one that carries the gradient of
    the estimator to the scores.

    Args:
        width: features of a token.
        k: how many are kept; all of a shorter sequence.
        keep: the share that is kept, rounded up, in place of ``k``.
        fixed: how many of the first tokens, such as a class token, are kept besides and are not chosen among.
        estimator: one for sets; straight-through Gumbel-top-k if None.
        device: where the weights live.
        dtype: their floating dtype.

    Raises:
        ValueError: if not exactly one of ``k`` and ``keep`` is given, or if one is out of range.
        TypeError: if the estimator does not take sets.

    Example:
        >>> tokens, positions, mask = TokenSelector(8, keep=0.25)(torch.ones(2, 16, 8), seed=0)
        >>> tokens.shape, bool((positions.diff() > 0).all())
        (torch.Size([2, 4, 8]), True)

    References:
        Rao et al. DynamicViT: efficient vision transformers with dynamic token sparsification. NeurIPS 2021.
    """

    def __init__(
        self,
        width: int,
        k: int | None = None,
        keep: float | None = None,
        *,
        fixed: int = 0,
        estimator: SurrogateEstimator | None = None,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__(width, k, keep, fixed, estimator, device, dtype)
        self.weight = nn.Parameter(torch.empty(width, device=device, dtype=dtype))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Small scores, so that training begins with any tokens."""
        bound = 1 / math.sqrt(self.width)
        nn.init.uniform_(self.weight, -bound, bound)

    def forward(
        self,
        x: Float[Tensor, "*batch tokens width"],
        *,
        mask: Bool[Tensor, "..."] | None = None,
        generator: torch.Generator | None = None,
        seed: int | Tensor | None = None,
    ) -> Selected:
        """Choose tokens.

        Args:
            x: tokens.
            mask: True for tokens, False for padding, which is chosen only where nothing else is left.
            generator: draws the seed; torch's default generator if None.
            seed: the seed itself, an int or a 0-dim int64 tensor.

        Returns:
            The tokens, their positions, and which of them are padding.

        Raises:
            ValueError: if a shape does not fit, or ``generator`` and ``seed`` are both given.
        """
        allowed = self.checked(x, mask)
        rest, fixed = x[..., self.fixed :, :], self.fixed
        k = self.left(rest.shape[-2])
        logits = rest @ self.weight.to(rest.dtype)
        chosen = partial(Subset, k=k)
        z = self.choice(logits, mask=allowed[..., fixed:], among=chosen, generator=generator, seed=seed)
        positions = z.detach().topk(k, -1)[1].sort(-1)[0]
        index = positions[..., None].expand(*positions.shape, self.width)
        tokens = rest.gather(-2, index) * z.gather(-1, positions)[..., None].to(x.dtype)
        if fixed:
            head = torch.where(allowed[..., :fixed, None], x[..., :fixed, :], 0.0)
            tokens = torch.cat([head, tokens], -2)
            first = torch.arange(fixed, device=x.device).expand(*positions.shape[:-1], fixed)
            positions = torch.cat([first, positions + fixed], -1)
        return Selected(tokens, positions, allowed.gather(-1, positions))


class TokenMerger(_Shortening):
    r"""Merge like tokens of a sequence until k are left.

    The sequence is split into the tokens at even and at odd places. Each even one finds the odd one that is most like
    it, by the cosine c of learned keys; of these pairs, as many as there are too many tokens are merged into their
    size-weighted mean, in training drawn with logits ``sharpness * c``, in evaluation the most alike. The others stay
    as they are. A merged token enters the mean with its indicator, a one that carries the gradient of the estimator.

    Args:
        width: features of a token.
        k: how many are left; all of a shorter sequence. At least half of the tokens are left by one layer.
        keep: the share that is left, rounded up, in place of ``k``.
        fixed: how many of the first tokens, such as a class token, are never merged.
        sharpness: how much likeness counts against noise.
        estimator: one for sets; straight-through Gumbel-top-k if None.
        device: where the weights live.
        dtype: their floating dtype.

    Raises:
        ValueError: if not exactly one of ``k`` and ``keep`` is given, or if one is out of range.
        TypeError: if the estimator does not take sets.

    Example:
        >>> merged = TokenMerger(8, keep=0.75)(torch.randn(2, 16, 8), seed=0)
        >>> merged.tokens.shape, merged.sizes.sum(-1).detach()
        (torch.Size([2, 12, 8]), tensor([16., 16.]))

    References:
        Bolya, Fu, Dai, Zhang, Feichtenhofer, Hoffman. Token merging: your ViT but faster. ICLR 2023 (without learning).
    """

    def __init__(
        self,
        width: int,
        k: int | None = None,
        keep: float | None = None,
        *,
        fixed: int = 0,
        sharpness: float = 10.0,
        estimator: SurrogateEstimator | None = None,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__(width, k, keep, fixed, estimator, device, dtype)
        check_nonnegative(sharpness, "sharpness")
        self.sharpness = sharpness
        self.weight = nn.Parameter(torch.empty(width, width, device=device, dtype=dtype))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Keys that are the tokens themselves."""
        nn.init.eye_(self.weight)

    def forward(
        self,
        x: Float[Tensor, "*batch tokens width"],
        *,
        sizes: Float[Tensor, "*batch tokens"] | None = None,
        mask: Bool[Tensor, "..."] | None = None,
        generator: torch.Generator | None = None,
        seed: int | Tensor | None = None,
    ) -> Merged:
        """Merge tokens.

        Args:
            x: tokens.
            sizes: how many tokens each stands for, from a merger before; one each if None.
            mask: True for tokens, False for padding, which is merged first and weighs nothing.
            generator: draws the seed; torch's default generator if None.
            seed: the seed itself, an int or a 0-dim int64 tensor.

        Returns:
            The tokens, their positions and sizes, and which of them are padding.

        Raises:
            ValueError: if less than half of the tokens would be left, if a shape does not fit, or if ``generator`` and
                ``seed`` are both given.
        """
        allowed = self.checked(x, mask)
        size = torch.where(allowed, 1.0 if sizes is None else sizes, 0.0).to(x.dtype)
        count = x.shape[-2] - self.fixed
        merges = count - self.left(count)
        if merges > (count + 1) // 2:
            raise ValueError(
                f"k must leave at least half of the {count} tokens, but it leaves {count - merges}; merge in two layers"
            )
        place = torch.arange(self.fixed, x.shape[-2], device=x.device)
        even, odd = place[::2], place[1::2]
        if not merges:
            return Merged(x, _expanded(torch.arange(x.shape[-2], device=x.device), x), size, size > 0)
        keys = nn.functional.normalize(x @ self.weight.to(x.dtype), dim=-1)
        likeness = keys[..., even, :] @ keys[..., odd, :].mT
        likeness, target = torch.where(allowed[..., None, odd], likeness, -2.0).max(-1)
        logits = torch.where(allowed[..., even], self.sharpness * likeness, FIRST)
        z = self.choice(logits, among=partial(Subset, k=merges), generator=generator, seed=seed).to(x.dtype)

        moved = (z * size[..., even])[..., None]
        index = target[..., None]
        weight = size[..., odd, None].scatter_add(-2, index, moved)
        total = (size[..., odd, None] * x[..., odd, :]).scatter_add(
            -2, index.expand(*target.shape, self.width), moved * x[..., even, :]
        )
        merged = torch.where(weight > 0, total / weight.clamp(min=1e-6), x[..., odd, :])
        stays = len(even) - merges
        left = (1 - z.detach()).topk(stays, -1)[1].sort(-1)[0]
        fixed = torch.arange(self.fixed, device=x.device)
        positions = torch.cat([_expanded(fixed, x), even[left], _expanded(odd, x)], -1)
        head = x[..., : self.fixed, :]
        kept = x[..., even, :].gather(-2, left[..., None].expand(*left.shape, self.width))
        tokens = torch.cat([head, kept, merged], -2)
        sized = torch.cat([size[..., : self.fixed], size[..., even].gather(-1, left), weight[..., 0]], -1)
        positions, order = positions.sort(-1)
        tokens = tokens.gather(-2, order[..., None].expand(*order.shape, self.width))
        sized = sized.gather(-1, order)
        return Merged(tokens, positions, sized, sized > 0)


def _expanded(place: Tensor, x: Tensor) -> Tensor:
    """Places that are the same in all sequences."""
    return place.expand(*x.shape[:-2], len(place))
