"""Samples of a categorical variable: exact, relaxed, and hard with the relaxed gradient."""

from __future__ import annotations

import torch

from drawgrad._checks import as_flag, check_dim, check_floating, check_mask
from drawgrad._typing import Bool, Float, Int, Tensor
from drawgrad.functional._rows import Rows
from drawgrad.functional._seeds import seed_of
from drawgrad.functional._short import few, is_few, is_few_rows, numbers_at_hand
from drawgrad.functional.surrogate import straight_through
from drawgrad.kernels import ops

__all__ = ["gumbel_max", "gumbel_softmax"]


def gumbel_softmax(
    logits: Float[Tensor, "*shape"],
    tau: float | Float[Tensor, "..."] = 1.0,
    hard: bool = False,
    dim: int = -1,
    *,
    mask: Bool[Tensor, "..."] | None = None,
    generator: torch.Generator | None = None,
    seed: int | Tensor | None = None,
    row_offset: int = 0,
    class_offset: int = 0,
    eps: float = 0.0,
) -> Float[Tensor, "*shape"]:
    r"""Draw from the Gumbel-Softmax (Concrete) distribution.

    .. math:: y = \mathrm{softmax}((l + g) / \tau), \qquad g_i \sim \mathrm{Gumbel}(0, 1)

    With ``hard=True`` the forward value is the one-hot vector of the largest entry, an exact sample of the categorical
    distribution, and the gradient is that of y (straight-through Gumbel-Softmax). Exact means to the bits of
    :func:`~drawgrad.functional.gumbel_noise`: classes up to 36 nats behind the others together are drawn at their
    probability to one part in 8,000, and ones that are 48.86 behind a single other one never.

    Computed in float32, or float64 for float64 input, whatever the dtype of the logits. Backward keeps one tensor: the
    soft sample of a small call (up to 24 rows and 4,096 numbers on the CPU); of larger ones the sample if it is soft,
    and the logits if it is hard, when it draws the noise again from the seed.

    Args:
        logits: unnormalized log-probabilities with K classes along ``dim``. -inf is a class that is never chosen; NaN
            and +inf, which is the logarithm of no weight, make their row NaN.
        tau: temperature, a positive number, or a tensor that broadcasts to the logits and gets a gradient. Elements of
            a tensor are not checked. It does not move the hard sample, not even where it differs between classes.
        hard: whether the forward value is one-hot.
        dim: dimension of the classes.
        mask: True where a class is allowed; broadcasts to the logits. A class that is not allowed is exactly zero in
            sample and gradient, and a row without an allowed class is all zero.
        generator: draws the seed; torch's default generator of the logits' device if None.
        seed: the seed itself, an int or a 0-dim int64 tensor, instead of ``generator``. One seed gives one sample:
            eager or compiled, on any device, whole or in parts. So it gives the same noise to every layer that takes
            it; give each its own, ``fold_seed(seed, layer)``. Or a seed for each entry of the first dimension, shape
            ``(n,)``, each of which counts its rows from ``row_offset``.
        row_offset: number of the first row, when the logits are one part of a larger batch.
        class_offset: number of the first class, when they are one shard of the classes. The sample is then normalized
            over the shard.
        eps: without effect. It stands in torch's signature, whose noise needs it against infinities.

    Returns:
        Sample of the shape and dtype of the logits; rows sum to one.

    Raises:
        ValueError: if ``tau`` is a number that is not positive and finite, if ``generator`` and ``seed`` are both
            given, if the logits are 0-dim, or if a shape does not broadcast.
        TypeError: if a dtype or type is wrong.
        IndexError: if the logits have no dimension ``dim``.

    Example:
        >>> import torch
        >>> logits = torch.tensor([0.1, 0.2, 0.7]).log()
        >>> round(gumbel_softmax(logits, tau=0.5, seed=1).sum().item(), 4)
        1.0
        >>> gumbel_softmax(logits, hard=True, seed=1)
        tensor([0., 0., 1.])

    References:
        Jang, Gu, Poole. Categorical reparameterization with Gumbel-Softmax. ICLR 2017.
        Maddison, Mnih, Teh. The Concrete distribution. ICLR 2017.
    """
    hard = as_flag(hard, "hard")
    if mask is not None:
        _check_masked(logits, mask, dim)
    numbers = numbers_at_hand(logits, tau, generator, seed, row_offset, class_offset, mask) if dim == -1 else None
    if numbers is not None and is_few_rows(logits):
        return few().gumbel_softmax(logits, *numbers, hard, mask)
    if mask is not None:
        logits = _masked(logits, mask)
    if numbers is not None:
        return ops.gumbel_softmax.at_hand("cpu", logits, *numbers, 0, 0, hard)
    _check_classes(logits, dim)
    rows = Rows.of(logits, dim, row_offset, class_offset)
    of_rows = rows.temperature(tau, "for the limit of zero, an exact discrete sample, use gumbel_max")
    drawn = seed_of(generator, seed, logits.device, rows.groups)
    if of_rows is not None:
        return rows.restore(ops.gumbel_softmax(rows.values, of_rows, drawn, *rows.place, hard))
    # A temperature for each class is rare, and no longer the softmax of one scaled row: plain torch serves it.
    return _with_class_temperatures(logits, rows.restore(rows.noise(drawn, "gumbel")), tau, hard, dim)


def gumbel_max(
    logits: Float[Tensor, "*shape"],
    dim: int = -1,
    *,
    mask: Bool[Tensor, "..."] | None = None,
    generator: torch.Generator | None = None,
    seed: int | Tensor | None = None,
    row_offset: int = 0,
    class_offset: int = 0,
) -> Int[Tensor, "..."]:
    r"""Draw an exact sample of a categorical distribution.

    .. math:: \arg\max_i (l_i + g_i) \sim \mathrm{Categorical}(\mathrm{softmax}(l))

    The same seed gives the class that ``gumbel_softmax(..., hard=True)`` marks, and rare classes are as exact as there.

    Args:
        logits: as in :func:`gumbel_softmax`; likewise all other arguments.
        dim: dimension of the classes.
        mask: True where a class is allowed.
        generator: draws the seed.
        seed: the seed itself.
        row_offset: number of the first row.
        class_offset: number of the first class; indices are counted within the logits given.

    Returns:
        Indices, int64, of the shape of the logits without ``dim``; -1 for a row without an allowed class. In a row with
        NaN or +inf it is the index of the first one, as in ``torch.argmax``.

    Raises:
        ValueError: if ``generator`` and ``seed`` are both given, or if the logits are 0-dim.
        TypeError: if a dtype or type is wrong.
        IndexError: if the logits have no dimension ``dim``.

    Example:
        >>> import torch
        >>> gumbel_max(torch.tensor([[0.0, 5.0], [5.0, 0.0]]), seed=0)
        tensor([1, 0])

    References:
        Gumbel. Statistical theory of extreme values. 1954. Maddison, Tarlow, Minka. A* sampling. NeurIPS 2014.
    """
    if mask is not None:
        _check_masked(logits, mask, dim)
    numbers = numbers_at_hand(logits, 1.0, generator, seed, row_offset, class_offset, mask) if dim == -1 else None
    if numbers is not None and is_few(logits):
        return few().gumbel_max(logits, numbers[1], mask)
    if mask is not None:
        logits = _masked(logits, mask)
    if numbers is not None:
        return ops.gumbel_max.at_hand("cpu", logits, numbers[1], 0, 0)
    _check_classes(logits, dim)
    rows = Rows.of(logits.detach(), dim, row_offset, class_offset)
    return ops.gumbel_max(rows.values, seed_of(generator, seed, logits.device, rows.groups), *rows.place)


def _check_classes(logits: Tensor, dim: int) -> None:
    check_floating(logits, "logits")
    check_dim(dim, logits, "logits")


def _check_masked(logits: Tensor, mask: Tensor, dim: int) -> None:
    _check_classes(logits, dim)
    check_mask(mask, logits)


def _masked(logits: Tensor, mask: Tensor) -> Tensor:
    # Forbidden classes are classes of log-probability -inf: one mechanism for both.
    return torch.where(mask, logits, -torch.inf)


def _with_class_temperatures(logits: Tensor, noise: Tensor, tau: float | Tensor, hard: bool, dim: int) -> Tensor:
    perturbed = logits + noise
    # Zero stands in for -inf until after the division, and again after the softmax: infinity times zero would be NaN
    # in the gradients. Rows have no common scale to be shifted by, so the quotients need the range of float64.
    allowed = perturbed != -torch.inf
    failed = (perturbed.isnan() | (perturbed == torch.inf)).any(dim, keepdim=True)
    scaled = (
        torch.where(allowed, perturbed, 0.0).double() / torch.as_tensor(tau, device=noise.device).to(noise).double()
    )
    largest = torch.finfo(scaled.dtype).max
    scores = torch.where(allowed, scaled.clamp(-largest, largest), -torch.inf)
    soft = torch.where(allowed, scores.softmax(dim), 0.0) * torch.where(failed, torch.nan, 1.0)
    soft = soft.to(logits.dtype)
    if not hard or not logits.shape[dim]:
        return soft
    # An exact sample, which no temperature moves.
    one_hot = torch.zeros_like(soft).scatter(dim, perturbed.detach().argmax(dim, keepdim=True), 1.0)
    one_hot = torch.where(failed, torch.nan, torch.where(allowed, one_hot, 0.0))
    return straight_through(one_hot, soft)
