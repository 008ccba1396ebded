"""Attention in which each query sees k keys."""

from __future__ import annotations

import math
from functools import partial

import torch
from torch import nn

from drawgrad._checks import check_count, check_flag, check_floating, check_mask
from drawgrad._typing import Bool, Float, Tensor
from drawgrad.estimators import SurrogateEstimator
from drawgrad.nn.choice import Choice
from drawgrad.variables import Subset

__all__ = ["SparseAttention"]


class SparseAttention(nn.Module):
    r"""Self-attention over k keys for each query and head, chosen by their scores, in training and evaluation alike.

    .. math:: A_{ij} = \frac{z_{ij} \exp s_{ij}}{\sum_l z_{il} \exp s_{il}}, \qquad
        z_i = \mathrm{top}_k(s_i + g_i), \quad s_{ij} = q_i^\top k_j / \sqrt{d}

    Training draws the sets with Gumbel noise g; evaluation takes the k largest scores. The indicators z are hard and
    carry the gradient of the estimator, also to keys that were not chosen. All scores are computed, so this saves no
    time against dense attention: it makes attention that can be read, and values that need not be there.

    Args:
        width: features of a token, a multiple of ``heads``.
        heads: attention heads.
        k: keys that a query sees; all of them where fewer are allowed.
        causal: whether a query sees no later keys.
        estimator: one for sets; straight-through Gumbel-top-k if None.
        device: where the weights live.
        dtype: their floating dtype.

    Raises:
        ValueError: if a size is not positive, or ``width`` is no multiple of ``heads``.
        TypeError: if the estimator does not take sets.

    Example:
        >>> attention = SparseAttention(8, heads=2, k=3)
        >>> attention(torch.randn(2, 5, 8), seed=0).shape
        torch.Size([2, 5, 8])
        >>> (attention.weights(torch.randn(2, 5, 8), seed=0) > 0).sum(-1).unique()
        tensor([3])

    References:
        Xie, Ermon. Reparameterizable subset sampling via continuous relaxations. IJCAI 2019 (the relaxed set).
    """

    def __init__(
        self,
        width: int,
        heads: int,
        k: int,
        *,
        causal: bool = False,
        estimator: SurrogateEstimator | None = None,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__()
        for name, size in (("width", width), ("heads", heads), ("k", k)):
            check_count(size, name, minimum=1)
        check_flag(causal, "causal")
        if width % heads:
            raise ValueError(f"width must be a multiple of heads, but they are {width} and {heads}; change one of them")
        self.width, self.heads, self.k, self.causal = width, heads, k, causal
        self.queries_and_keys = nn.Linear(width, 2 * width, device=device, dtype=dtype)
        self.values = nn.Linear(width, width, device=device, dtype=dtype)
        self.out = nn.Linear(width, width, device=device, dtype=dtype)
        self.choice = Choice(estimator, partial(Subset, k=1), device=device, dtype=dtype)

    def forward(
        self,
        x: Float[Tensor, "*batch tokens width"],
        *,
        mask: Bool[Tensor, "..."] | None = None,
        generator: torch.Generator | None = None,
        seed: int | Tensor | None = None,
    ) -> Float[Tensor, "*batch tokens width"]:
        """Attend.

        Args:
            x: tokens.
            mask: True for tokens, False for padding, which nobody sees.
            generator: draws the seed; torch's default generator if None.
            seed: the seed itself, an int or a 0-dim int64 tensor.

        Returns:
            What each token gathered.

        Raises:
            ValueError: if a shape does not fit, or ``generator`` and ``seed`` are both given.
        """
        weights = self.weights(x, mask=mask, generator=generator, seed=seed)
        values = self._by_head(self.values(x))
        gathered = weights.to(values.dtype) @ values
        return self.out(gathered.transpose(-3, -2).flatten(-2))

    def weights(
        self,
        x: Float[Tensor, "*batch tokens width"],
        *,
        mask: Bool[Tensor, "..."] | None = None,
        generator: torch.Generator | None = None,
        seed: int | Tensor | None = None,
    ) -> Float[Tensor, "*batch heads tokens tokens"]:
        """The attention of each head, query by key; arguments as in :meth:`forward`.

        Returns:
            At most k numbers a row that are not zero, of sum one; zero for a query that may see nothing.
        """
        check_floating(x, "x")
        if x.dim() < 2 or x.shape[-1] != self.width:
            raise ValueError(
                f"x must be tokens of {self.width} features, shape (*batch, tokens, {self.width}), but its shape is "
                f"{tuple(x.shape)}; check the width"
            )
        tokens = x.shape[-2]
        queries, keys = map(self._by_head, self.queries_and_keys(x).chunk(2, -1))
        scores = (queries @ keys.mT).float() if x.dtype != torch.float64 else queries @ keys.mT
        scores = scores / math.sqrt(self.width // self.heads)
        allowed = torch.ones(tokens, tokens, dtype=torch.bool, device=x.device)
        allowed = allowed.tril() if self.causal else allowed
        if mask is not None:
            check_mask(mask, x[..., 0])
            allowed = allowed & mask.expand(x.shape[:-1])[..., None, None, :]
        chosen = partial(Subset, k=min(self.k, tokens))
        z = self.choice(scores, mask=allowed.expand(scores.shape), among=chosen, generator=generator, seed=seed)
        # A softmax over the chosen keys, shifted by the largest of their scores.
        largest = torch.where(z.detach() > 0, scores.detach(), -torch.inf).amax(-1, keepdim=True)
        largest = torch.where(largest == -torch.inf, 0.0, largest)
        # A score that was not chosen may be larger: it is held where its exponential is still a harmless number.
        unscaled = z * (scores - largest).clamp(max=20.0).exp()
        return unscaled / unscaled.sum(-1, keepdim=True).clamp(min=1e-12)

    def reset_parameters(self) -> None:
        """Nothing of its own: the linear layers have theirs."""

    def extra_repr(self) -> str:
        """The sizes."""
        return f"{self.width}, heads={self.heads}, k={self.k}" + (", causal=True" if self.causal else "")

    def _by_head(self, x: Tensor) -> Tensor:
        return x.unflatten(-1, (self.heads, -1)).transpose(-3, -2)
