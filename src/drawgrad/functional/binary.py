"""Samples of a Bernoulli variable: relaxed, and hard with the relaxed gradient."""

from __future__ import annotations

import torch

from drawgrad._checks import check_flag, check_floating
from drawgrad._typing import Float, Tensor
from drawgrad.functional._draw import as_rows, call, draw_seed, from_rows, place, relax, row_temperature
from drawgrad.functional.surrogate import straight_through
from drawgrad.kernels import reference

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
    distribution, and the gradient is that of y.

    Args:
        logits: log-odds of a one, any shape; the last dimension counts classes and all others together count rows, as
            in :func:`~drawgrad.functional.logistic_noise`.
        tau: temperature, a positive number, or a tensor that broadcasts to the logits and gets a gradient.
        hard: whether the forward value is 0 or 1.
        generator: draws the seed; torch's default generator of the logits' device if None.
        seed: the seed itself, an int or a 0-dim int64 tensor, instead of ``generator``.
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
    check_flag(hard, "hard")
    check_floating(logits, "logits")
    shaped = logits if logits.dim() else logits[None]
    rows = as_rows(shaped, -1)
    at = place(row_offset, class_offset, *rows.shape[1:])
    per_row = row_temperature(tau, shaped, -1, "for the limit of zero, an exact sample, use torch.bernoulli")
    seed = draw_seed(generator, seed, logits.device)
    if per_row is not None:
        sample = relax("binary_concrete", rows, per_row, seed, at, hard)
    else:
        # A temperature for each element: plain torch serves it.
        noise = call("noise", seed, *rows.shape[1:], *at, "logistic", reference.compute_dtype(logits.dtype))
        scores = shaped + from_rows(noise, shaped, -1)
        sample = reference.sigmoid(scores, torch.as_tensor(tau).to(scores)).to(logits.dtype)
        if hard:
            sample = straight_through((scores > 0).to(sample.dtype), sample)
    return from_rows(sample, shaped, -1).reshape(logits.shape)
