"""Samples of a Bernoulli variable: relaxed, and hard with the relaxed gradient."""

from __future__ import annotations

import torch

from drawgrad._checks import as_flag, check_floating
from drawgrad._typing import Float, Tensor
from drawgrad.functional._rows import Rows
from drawgrad.functional._seeds import seed_of
from drawgrad.functional._short import few, is_few, numbers_at_hand
from drawgrad.functional.surrogate import straight_through
from drawgrad.kernels import ops, reference

__all__ = ["binary_concrete"]


def binary_concrete(
    logits: Float[Tensor, "*shape"],
    tau: float | Float[Tensor, "..."] = 1.0,
    hard: bool = False,
    *,
    generator: torch.Generator | None = None,
    seed: int | Tensor | None = None,
    row_offset: int = 0,
    class_offset: int = 0,
) -> Float[Tensor, "*shape"]:
    r"""Draw from the binary Concrete (relaxed Bernoulli) distribution, for each element.

    .. math:: y = \sigma((l + x) / \tau), \qquad x \sim \mathrm{Logistic}(0, 1)

    With ``hard=True`` the forward value is 1 where y > 1/2 and 0 elsewhere, an exact sample of the Bernoulli
    distribution, and the gradient is that of y. Exact means to the bits of :func:`~drawgrad.functional.logistic_noise`:
    log-odds down to -36 have their probability to one part in 8,000, and ones beyond -45.05 are never drawn.

    Args:
        logits: log-odds of a one, any shape; infinite ones are certain. The last dimension counts classes and all
            others together count rows, as in :func:`~drawgrad.functional.logistic_noise`.
        tau: temperature, a positive number, or a tensor that broadcasts to the logits and gets a gradient.
        hard: whether the forward value is 0 or 1.
        generator: draws the seed; torch's default generator of the logits' device if None.
        seed: the seed itself, an int or a 0-dim int64 tensor, instead of ``generator``; or a seed for each
            entry of the first dimension, as in :func:`~drawgrad.functional.gumbel_noise`.
        row_offset: number of the first row, when the logits are one part of a larger batch.
        class_offset: number of the first class, likewise.

    Returns:
        Sample of the shape and dtype of the logits, in [0, 1].

    Raises:
        ValueError: if ``tau`` is a number that is not positive and finite, if ``generator`` and ``seed`` are both
            given, or if a shape does not broadcast.
        TypeError: if a dtype or type is wrong.

    Example:
        >>> import torch
        >>> binary_concrete(torch.tensor([-4.0, 4.0]), hard=True, seed=0)
        tensor([0., 1.])

    References:
        Maddison, Mnih, Teh. The Concrete distribution. ICLR 2017.
    """
    hard = as_flag(hard, "hard")
    numbers = numbers_at_hand(logits, tau, generator, seed, row_offset, class_offset)
    if numbers is not None and is_few(logits):
        return few().binary_concrete(logits, *numbers, hard)
    if numbers is not None:
        return ops.binary_concrete.at_hand("cpu", logits, *numbers, 0, 0, hard)
    check_floating(logits, "logits")
    rows = Rows.of(logits, -1, row_offset, class_offset)
    of_rows = rows.temperature(tau, "for the limit of zero, an exact sample, use torch.bernoulli")
    drawn = seed_of(generator, seed, logits.device, rows.groups)
    if of_rows is not None:
        return rows.restore(ops.binary_concrete(rows.values, of_rows, drawn, *rows.place, hard))
    # A temperature for each element: plain torch serves it.
    scores = logits + rows.restore(rows.noise(drawn, "logistic"))
    # In float64, whose range holds a quotient of two float32 numbers and its derivatives.
    sample = reference.sigmoid(scores.double(), torch.as_tensor(tau, device=scores.device).to(scores).double()).to(
        logits.dtype
    )
    if not hard:
        return sample
    bits = torch.where(scores.isnan(), scores, (scores > 0).to(scores.dtype)).to(sample.dtype)
    return straight_through(bits, sample)
