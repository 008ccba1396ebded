"""Standard noise as a function of a seed: the randomness under every relaxation of this package."""

from __future__ import annotations

from collections.abc import Sequence
from numbers import Integral

import torch

from drawgrad._checks import check_dtype
from drawgrad._typing import Float, Tensor
from drawgrad.functional._rows import check_place, noise_of
from drawgrad.functional._seeds import seed_of

__all__ = ["gumbel_noise", "logistic_noise"]


def gumbel_noise(
    shape: Sequence[int],
    *,
    dtype: torch.dtype | None = None,
    device: torch.device | str | None = None,
    generator: torch.Generator | None = None,
    seed: int | Tensor | None = None,
    row_offset: int = 0,
    class_offset: int = 0,
) -> Float[Tensor, "*shape"]:
    r"""Draw standard Gumbel noise.

    .. math:: g = -\log E, \qquad E \sim \mathrm{Exponential}(1), \qquad P(g \le x) = \exp(-e^{-x})

    The last dimension counts classes, all others together count rows, and a number depends on nothing but
    ``(seed; row, class)``: any part of a tensor can be drawn on its own with ``row_offset`` and ``class_offset``. The
    numbers lie in [-3.81, 45.05], and none is infinite. Each is made of 32 random bits, and of 64 towards the ends of
    both tails: the probability of an event of one draw is right to one part in 8,000 down to 2e-16, less precise below,
    and the tails end at 2^-65.

    Args:
        shape: shape of the result; ``()`` is one number.
        dtype: floating dtype; torch's default dtype if None. Narrow dtypes round numbers computed in float32.
        device: torch's default device if None.
        generator: draws the seed; torch's default generator of ``device`` if None.
        seed: the seed itself, an int or a 0-dim int64 tensor, instead of ``generator``; or a seed for each entry of the
            first dimension, shape ``(n,)``, each of which counts its rows from ``row_offset``.
        row_offset: number of the first row, for one part of a larger tensor.
        class_offset: number of the first class, likewise.

    Returns:
        Noise of shape ``shape``.

    Raises:
        ValueError: if ``generator`` and ``seed`` are both given.

    Example:
        >>> gumbel_noise((2, 3), seed=0)
        tensor([[...]])
        >>> whole, part = gumbel_noise((2, 3), seed=0), gumbel_noise((1, 2), seed=0, row_offset=1, class_offset=1)
        >>> bool((whole[1:, 1:] == part).all())
        True
    """
    return _noise("gumbel", shape, dtype, device, generator, seed, row_offset, class_offset)


def logistic_noise(
    shape: Sequence[int],
    *,
    dtype: torch.dtype | None = None,
    device: torch.device | str | None = None,
    generator: torch.Generator | None = None,
    seed: int | Tensor | None = None,
    row_offset: int = 0,
    class_offset: int = 0,
) -> Float[Tensor, "*shape"]:
    r"""Draw standard logistic noise.

    .. math:: x = \log u - \log(1 - u), \qquad u \sim \mathrm{Uniform}(0, 1)

    Arguments and result as in :func:`gumbel_noise`, and tails as exact. One seed gives independent Gumbel and logistic
    noise. The numbers lie in [-45.05, 45.05].

    Example:
        >>> logistic_noise((2, 3), seed=0).shape
        torch.Size([2, 3])
    """
    return _noise("logistic", shape, dtype, device, generator, seed, row_offset, class_offset)


def _noise(
    family: str,
    shape: Sequence[int],
    dtype: torch.dtype | None,
    device: torch.device | str | None,
    generator: torch.Generator | None,
    seed: int | Tensor | None,
    row_offset: int,
    class_offset: int,
) -> Tensor:
    dtype = torch.get_default_dtype() if dtype is None else dtype
    check_dtype(dtype)
    if isinstance(shape, Integral):
        raise TypeError(f"shape must be a sequence of ints, but it is {shape!r}; give ({shape},)")
    # Not torch.get_default_device(), which a compiler cannot trace.
    device = torch.empty(()).device if device is None else torch.device(device)
    # NumPy's integers as Python's; symbols, and the sizes of a trace, as they are.
    shape = tuple(int(size) if isinstance(size, Integral) else size for size in shape)
    place = check_place(shape, row_offset, class_offset)
    drawn = seed_of(generator, seed, device, shape[0] if len(shape) > 1 else None)
    return noise_of(drawn, shape, place, family, dtype)
