"""Weights in few bits: scales, and how many bits each group of weights gets, are learned with the network."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Literal, NamedTuple

import torch
from torch import nn

from drawgrad._checks import as_integers, check_count, check_floating, check_integer
from drawgrad._typing import Float, Tensor
from drawgrad.estimators import SurrogateEstimator
from drawgrad.functional import straight_through
from drawgrad.nn.choice import Choice

__all__ = ["FrozenLevels", "LearnedLevels"]

SCALE_BITS = 32
"""What the scale of a group takes."""
TRIED = 80
"""Scales that a fit compares."""


class FrozenLevels(NamedTuple):
    """Weights as integers: what :meth:`LearnedLevels.freeze` returns."""

    integers: Tensor
    """Shaped like the weights: int8, or int16 where some have more than 8 bits."""
    scale: Tensor
    """What one step of the integers is worth, of each group; broadcasts to the weights."""
    bits: Tensor
    """How many bits the integers of each group have; broadcasts to the weights."""
    choices: int
    """Among how many numbers of bits each group has chosen."""

    def dequantize(self) -> Float[Tensor, "..."]:
        """The weights."""
        return self.integers.to(self.scale.dtype) * self.scale

    @property
    def size(self) -> int:
        """How many bits all of it takes: integers, scales, and for each group how many bits its integers have."""
        groups = self.bits.numel()
        of_integers = int(self.bits.sum()) * (self.integers.numel() // groups)
        return of_integers + groups * (SCALE_BITS + math.ceil(math.log2(self.choices)))


class LearnedLevels(nn.Module):
    r"""Round weights to few levels, with a gradient: quantization-aware training.

    .. math:: \hat w = s_b \, \mathrm{round}\big(\mathrm{clip}(w / s_b, -2^{b-1}, 2^{b-1} - 1)\big)

    The scale s of every group and number of bits b is learned, with the gradient of rounding passed through. Where
    several numbers of bits are given, each group draws its own in ``train()`` and takes the most probable one in
    ``eval()``; add :meth:`expected_size` times a weight to the loss, for more bits are never worse without it. It is a
    parametrization: ``torch.nn.utils.parametrize.register_parametrization(layer, "weight", levels)``.

    Args:
        shape: of the weights.
        bits: how many bits the integers have, from 2 to 16: one number, or several to choose among.
        dim: the dimension whose entries are the groups, such as 0 for the outputs of a layer; None is one group.
        estimator: one whose sample carries its gradient; ``STGumbelSoftmax()`` if None.
        eval_mode: as in :class:`Choice`.
        device: of scales and logits.
        dtype: of scales and logits.

    Shape:
        weight: ``shape``, and so is the result.

    Raises:
        ValueError: if an argument breaks its rule, or if the weights have another shape.
        TypeError: if the estimator does not take such a choice.

    Example:
        >>> import torch
        >>> from torch.nn.utils import parametrize
        >>> layer = torch.nn.Linear(16, 4)
        >>> levels = LearnedLevels(layer.weight.shape, bits=3).fit(layer.weight)
        >>> _ = parametrize.register_parametrization(layer, "weight", levels)
        >>> [len(row.unique()) <= 8 for row in layer.weight]
        [True, True, True, True]
        >>> frozen = levels.freeze(layer.parametrizations.weight.original)
        >>> frozen.integers.dtype, frozen.size
        (torch.int8, 320)

    References:
        Esser, McKinstry, Bablani, Appuswamy, Modha. Learned step size quantization. ICLR 2020. Louizos, Reisser,
        Blankevoort, Gavves, Welling. Relaxed quantization for discretized neural networks. ICLR 2019.
    """

    def __init__(
        self,
        shape: int | Sequence[int],
        bits: int | Sequence[int] = (2, 4, 8),
        *,
        dim: int | None = 0,
        estimator: SurrogateEstimator | None = None,
        eval_mode: Literal["argmax", "sample", "mean"] = "argmax",
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__()
        self.shape = torch.Size(as_integers(shape, "shape"))
        for size in self.shape:
            check_count(size, "shape", minimum=1)
        self.bits = as_integers(bits, "bits")
        for count in self.bits or (0,):
            check_count(count, "bits", minimum=2)
            if count > 16:
                raise ValueError(f"bits must be at most 16, but one is {count}; leave such weights as they are")
        if dim is not None:
            check_integer(dim, "dim")
        if dim is not None and not -len(self.shape) <= dim < len(self.shape):
            raise ValueError(f"dim must be a dimension of {tuple(self.shape)} or None, but it is {dim!r}; 0 is usual")
        self.dim = dim
        # One for each group, in the place of its dimension.
        place = None if dim is None else dim % len(self.shape)
        groups = [size if number == place else 1 for number, size in enumerate(self.shape)]
        self.log_scale = nn.Parameter(torch.empty(len(self.bits), *groups, device=device, dtype=dtype))
        several = len(self.bits) > 1
        self.logits = (
            nn.Parameter(torch.empty(*groups, len(self.bits), device=device, dtype=dtype)) if several else None
        )
        # Made in any case, so that wrong options are refused in any case.
        choice = Choice(estimator, eval_mode=eval_mode, device=device, dtype=dtype)
        self.choice = choice if several else None
        self.reset_parameters()

    @torch.no_grad()
    def reset_parameters(self) -> None:
        """Scales for weights from -1 to 1, and all numbers of bits equally probable. :meth:`fit` is a better start."""
        for scale, count in zip(self.log_scale, self.bits, strict=True):
            scale.fill_(-math.log(2 ** (count - 1)))
        if self.logits is not None:
            self.logits.zero_()

    def extra_repr(self) -> str:
        """The options."""
        return f"{tuple(self.shape)}, bits={self.bits}, dim={self.dim}"

    @torch.no_grad()
    def fit(self, weight: Float[Tensor, "..."]) -> LearnedLevels:
        """Set each scale to the one, of many, whose rounding moves the weights least. Returns the module itself."""
        self._check(weight)
        kept = range(self.log_scale.dim() - 1)
        others = [number for number in kept if self.log_scale.shape[1 + number] == 1]
        largest = weight.abs().amax(others, keepdim=True).clamp_min(torch.finfo(weight.dtype).tiny)
        for scale, count in zip(self.log_scale, self.bits, strict=True):
            best = torch.full_like(largest, torch.inf)
            for number in range(1, TRIED + 1):
                tried = largest * (1.2 * number / TRIED) / 2 ** (count - 1)
                off = (_rounded(weight / tried, count) * tried - weight).square().sum(others, keepdim=True)
                scale.copy_(torch.where(off < best, tried.log(), scale))
                best = torch.minimum(off, best)
        return self

    def forward(
        self,
        weight: Float[Tensor, "..."],
        *,
        generator: torch.Generator | None = None,
        seed: int | Tensor | None = None,
    ) -> Float[Tensor, "..."]:
        """Round.

        Args:
            weight: what is rounded.
            generator: draws the seed, where there are several numbers of bits; torch's default generator if None.
            seed: the seed itself, an int or a 0-dim int64 tensor, instead of ``generator``.
        """
        self._check(weight)
        rounded = []
        for log_scale, count in zip(self.log_scale, self.bits, strict=True):
            scale = log_scale.exp()
            inside = (weight / scale).clamp(-(2 ** (count - 1)), 2 ** (count - 1) - 1)
            rounded.append(scale * straight_through(inside.detach().round(), inside))
        if self.choice is None:
            return rounded[0].to(weight.dtype)
        z = self.choice(self.logits, generator=generator, seed=seed)
        each = zip(z.unbind(-1), rounded, strict=True)
        return sum((share * values for share, values in each), torch.zeros_like(rounded[0])).to(weight.dtype)

    def expected_size(self) -> Float[Tensor, ""]:
        """How many bits the integers take, as expected, with a gradient."""
        counts = self.log_scale.new_tensor(self.bits)
        groups = self.log_scale[0].numel()
        each = counts if self.logits is None else self.logits.softmax(-1) @ counts
        return each.mean() * groups * (self.shape.numel() // groups)

    @torch.no_grad()
    def freeze(self, weight: Float[Tensor, "..."]) -> FrozenLevels:
        """The weights as integers with their scales, each group with its most probable number of bits.

        Args:
            weight: the weights before they are rounded.
        """
        self._check(weight)
        counts = torch.tensor(self.bits, device=weight.device)
        best = (
            self.log_scale[0].new_zeros(self.log_scale[0].shape).long()
            if self.logits is None
            else self.logits.argmax(-1)
        )
        scale = self.log_scale.gather(0, best[None])[0].exp()
        bits = counts[best]
        limit = 2.0 ** (bits - 1)
        integers = torch.minimum(torch.maximum(weight / scale, -limit), limit - 1).round()
        return FrozenLevels(
            integers.to(torch.int8 if max(self.bits) <= 8 else torch.int16), scale, bits, len(self.bits)
        )

    def _check(self, weight: Tensor) -> None:
        check_floating(weight, "weight")
        if weight.shape != self.shape:
            raise ValueError(
                f"weight must have the shape {tuple(self.shape)}, but it has {tuple(weight.shape)}; make the levels "
                "for the shape of the weights"
            )


def _rounded(values: Tensor, bits: int) -> Any:
    return values.clamp(-(2 ** (bits - 1)), 2 ** (bits - 1) - 1).round()
