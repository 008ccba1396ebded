"""Noise given the sample that it led to: what Rao-Blackwellized and coupled estimators draw."""

from __future__ import annotations

import torch

from drawgrad._checks import check_floating, check_integral
from drawgrad._typing import Bool, Float, Int, Tensor
from drawgrad.functional.noise import gumbel_noise, logistic_noise

__all__ = ["conditional_gumbel", "conditional_logistic"]


def conditional_gumbel(
    logits: Float[Tensor, "*batch k"],
    index: Int[Tensor, "*batch"],
    *,
    generator: torch.Generator | None = None,
    seed: int | Tensor | None = None,
    row_offset: int = 0,
) -> Float[Tensor, "*batch k"]:
    r"""Draw perturbed logits l + g, with Gumbel noise g, given which of them is the largest.

    .. math:: x_D = \log Z - \log E_D, \qquad
        x_j = -\log(E_j / e^{l_j} + E_D / Z), \qquad Z = \textstyle\sum_i e^{l_i}, \quad E_i \sim \mathrm{Exp}(1)

    The largest entry of the result is the one at ``index``, without exception. Over indices that are drawn from
    softmax(l), the noise ``result - logits`` is independent standard Gumbel noise again. The result is differentiable
    in the logits with the noise E held fixed (the coupled noise of REBAR).

    Args:
        logits: unnormalized log-probabilities; -inf is a class that cannot win, and stays -inf. A row whose winner is
            such a class is NaN: what is impossible has no conditional distribution.
        index: the winning class of each row; -1 for a row without an allowed class, which is -inf throughout.
        generator: draws the seed; torch's default generator of the logits' device if None.
        seed: the seed itself, instead of ``generator``. It must not be the one that ``index`` was drawn with; fold it,
            ``fold_seed(seed, 1)``.
        row_offset: number of the first row.

    Returns:
        Perturbed logits, of the shape and dtype of the logits.

    Raises:
        ValueError: if the shapes do not fit, or if ``generator`` and ``seed`` are both given.
        TypeError: if the logits are not of a floating dtype, or the index is not of an integer one.

    Example:
        >>> import torch
        >>> conditional_gumbel(torch.zeros(2, 3), torch.tensor([2, 0]), seed=0).argmax(-1)
        tensor([2, 0])

    References:
        Maddison, Tarlow, Minka. A* sampling. NeurIPS 2014.
        Paulus, Maddison, Krause. Rao-Blackwellizing the straight-through Gumbel-Softmax gradient estimator. ICLR 2021.
    """
    check_floating(logits, "logits")
    check_integral(index, "index")
    if logits.dim() == 0 or index.shape != logits.shape[:-1]:
        raise ValueError(
            f"index must have the shape of the logits but their last dimension, {tuple(logits.shape[:-1])}, but its "
            f"shape is {tuple(index.shape)}; give one winner for each row of logits"
        )
    exact = logits if logits.dtype == torch.float64 else logits.float()
    noise = gumbel_noise(
        logits.shape,
        dtype=exact.dtype,
        device=logits.device,
        generator=generator,
        seed=seed,
        row_offset=row_offset,
    )
    nothing = index[..., None] < 0
    winner = index.clamp_min(0)[..., None]
    allowed = logits != -torch.inf
    # What is impossible has no conditional distribution.
    possible = torch.where(nothing | allowed.gather(-1, winner), 0.0, torch.nan)
    top = exact.logsumexp(-1, keepdim=True) + noise.gather(-1, winner) + possible
    others = -torch.logaddexp(-(torch.where(allowed, exact, 0.0) + noise), -top)
    top, others = top.to(logits.dtype), others.to(logits.dtype)
    # Rounding may lift a loser to the winner's height; it stays one step below.
    ceiling = torch.nextafter(top.detach(), top.new_tensor(-torch.inf))
    others = torch.where(allowed, torch.minimum(others, ceiling), -torch.inf)
    perturbed = others.scatter(-1, winner, top) + possible.to(logits.dtype)
    return torch.where(nothing, -torch.inf, perturbed)


def conditional_logistic(
    logits: Float[Tensor, "*shape"],
    positive: Bool[Tensor, "*shape"],
    *,
    generator: torch.Generator | None = None,
    seed: int | Tensor | None = None,
    row_offset: int = 0,
    class_offset: int = 0,
) -> Float[Tensor, "*shape"]:
    r"""Draw perturbed log-odds l + x, with logistic noise x, given their sign.

    .. math:: +\mathrm{softplus}(x + \mathrm{softplus}(l)) \text{ if positive}, \qquad
        -\mathrm{softplus}(x + \mathrm{softplus}(-l)) \text{ if not}, \qquad x \sim \mathrm{Logistic}(0, 1)

    The binary twin of :func:`conditional_gumbel`: it is the difference of two perturbed logits, l and 0.

    Args:
        logits: log-odds of a one.
        positive: whether the perturbed log-odds are positive, that is, whether the sample is a one.
        generator: draws the seed; torch's default generator of the logits' device if None.
        seed: the seed itself, instead of ``generator``, as in :func:`conditional_gumbel`.
        row_offset: number of the first row, as in :func:`~drawgrad.functional.logistic_noise`.
        class_offset: number of the first class, likewise.

    Returns:
        Perturbed log-odds, of the shape and dtype of the logits.

    Raises:
        ValueError: if the shapes differ, or if ``generator`` and ``seed`` are both given.
        TypeError: if the logits are not of a floating dtype, or the sign is no boolean tensor.

    Example:
        >>> import torch
        >>> conditional_logistic(torch.zeros(2), torch.tensor([True, False]), seed=0) > 0
        tensor([ True, False])

    References:
        Tucker, Mnih, Maddison, Lawson, Sohl-Dickstein. REBAR: low-variance, unbiased gradient estimates for discrete
        latent variable models. NeurIPS 2017.
    """
    check_floating(logits, "logits")
    if not isinstance(positive, Tensor) or positive.dtype != torch.bool:
        what = positive.dtype if isinstance(positive, Tensor) else type(positive).__name__
        raise TypeError(f"positive must be a boolean tensor, but it is {what}; compare the sample, as in z > 0")
    if positive.shape != logits.shape:
        raise ValueError(
            f"positive must have the shape of the logits, {tuple(logits.shape)}, but its shape is "
            f"{tuple(positive.shape)}; give one sign for each of the logits"
        )
    exact = logits if logits.dtype == torch.float64 else logits.float()
    noise = logistic_noise(
        logits.shape,
        dtype=exact.dtype,
        device=logits.device,
        generator=generator,
        seed=seed,
        row_offset=row_offset,
        class_offset=class_offset,
    )
    softplus = torch.nn.functional.softplus
    size = softplus(noise + softplus(torch.where(positive, exact, -exact))).to(logits.dtype)
    # softplus underflows to zero far below; the sign must survive it.
    size = size.clamp_min(torch.finfo(size.dtype).tiny)
    return torch.where(positive, size, -size)
