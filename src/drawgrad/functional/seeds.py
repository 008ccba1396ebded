"""The seed of a call as a value of its own, for those who use one draw in several places."""

from __future__ import annotations

import torch

from drawgrad._typing import Int, Tensor
from drawgrad.functional import _draw

__all__ = ["draw_seed"]


def draw_seed(
    *,
    generator: torch.Generator | None = None,
    seed: int | Tensor | None = None,
    device: torch.device | str | None = None,
) -> Int[Tensor, ""]:
    """The seed that a sampler of this package would use: as given, or drawn from a generator.

    One seed used twice gives one draw at two temperatures, with other rows (``row_offset``) it gives independent draws.

    Args:
        generator: draws the seed; torch's default generator of ``device`` if None.
        seed: the seed itself, an int or a 0-dim int64 tensor, instead of ``generator``.
        device: where the seed is to live; the generator's device, or torch's default one, if None.

    Returns:
        The seed, a 0-dim int64 tensor.

    Raises:
        ValueError: if ``generator`` and ``seed`` are both given, or if the seed does not fit into 64 bits.
        TypeError: if ``seed`` is neither an int nor a tensor.

    Example:
        >>> from drawgrad.functional import gumbel_softmax
        >>> import torch
        >>> seed = draw_seed(generator=torch.Generator().manual_seed(0))
        >>> warm, cold = (gumbel_softmax(torch.zeros(5), tau=tau, seed=seed) for tau in (1.0, 0.1))
        >>> bool(warm.argmax() == cold.argmax())
        True
    """
    if device is not None:
        place = torch.device(device)
    else:
        place = torch.empty(()).device if generator is None else generator.device
    return _draw.draw_seed(generator, seed, place)[0]
