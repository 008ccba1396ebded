"""The k largest of perturbed logits, in order: samples without replacement, and the relaxed set that they form."""

from __future__ import annotations

from typing import Literal, overload

import torch

from drawgrad._checks import check_count, check_dim, check_flag, check_floating, check_mask, check_temperature
from drawgrad._typing import Bool, Float, Int, Tensor
from drawgrad.functional._rows import Rows
from drawgrad.functional._seeds import seed_of
from drawgrad.functional.noise import gumbel_noise
from drawgrad.functional.surrogate import straight_through
from drawgrad.kernels import ops

__all__ = ["gumbel_top_k", "relaxed_top_k"]


@overload
def gumbel_top_k(
    logits: Float[Tensor, "*shape"],
    k: int | Int[Tensor, "..."],
    dim: int = -1,
    *,
    perturbed: Literal[False] = False,
    mask: Bool[Tensor, "..."] | None = None,
    generator: torch.Generator | None = None,
    seed: int | Tensor | None = None,
    row_offset: int = 0,
    class_offset: int = 0,
) -> Int[Tensor, "..."]: ...


@overload
def gumbel_top_k(
    logits: Float[Tensor, "*shape"],
    k: int | Int[Tensor, "..."],
    dim: int = -1,
    *,
    perturbed: Literal[True],
    mask: Bool[Tensor, "..."] | None = None,
    generator: torch.Generator | None = None,
    seed: int | Tensor | None = None,
    row_offset: int = 0,
    class_offset: int = 0,
) -> tuple[Int[Tensor, "..."], Float[Tensor, "..."]]: ...


def gumbel_top_k(
    logits: Float[Tensor, "*shape"],
    k: int | Int[Tensor, "..."],
    dim: int = -1,
    *,
    perturbed: bool = False,
    mask: Bool[Tensor, "..."] | None = None,
    generator: torch.Generator | None = None,
    seed: int | Tensor | None = None,
    row_offset: int = 0,
    class_offset: int = 0,
) -> Int[Tensor, "..."] | tuple[Int[Tensor, "..."], Float[Tensor, "..."]]:
    r"""Draw k different classes, one after the other without replacement, in the order of their draws.

    .. math:: \mathrm{argtop}_k(l_i + g_i) \sim \mathrm{PlackettLuce}(l), \qquad g_i \sim \mathrm{Gumbel}(0, 1)

    The first one is that of :func:`gumbel_max` for the same seed.

    Args:
        logits: unnormalized log-probabilities with K classes along ``dim``. -inf is a class that is never drawn; a NaN
            counts as the largest number.
        k: how many classes, from 0 to K; or one number a row, an integer tensor of the shape of the logits without
            ``dim``, whose largest number is read on the host.
        dim: dimension of the classes.
        perturbed: whether to return the perturbed logits as well.
        mask: True where a class is allowed; broadcasts to the logits.
        generator: draws the seed; torch's default generator of the logits' device if None.
        seed: the seed itself, an int or a 0-dim int64 tensor, instead of ``generator``. One seed gives one sample.
        row_offset: number of the first row, when the logits are one part of a larger batch.
        class_offset: number of the first class, when they are one shard of the classes: the best of all shards are the
            best of their perturbed logits.

    Returns:
        Indices, int64, with k places along ``dim``: -1 where fewer classes are allowed, or where the row's own k is
        smaller. With ``perturbed`` a pair of them and their l + g, which has a gradient for the logits, in float32, or
        float64 for float64 logits; -inf belongs to -1.

    Raises:
        ValueError: if ``k`` is not between 0 and K, if ``generator`` and ``seed`` are both given, if the logits are
            0-dim, or if a shape does not fit.
        TypeError: if a dtype or type is wrong.
        IndexError: if the logits have no dimension ``dim``.

    Example:
        >>> import torch
        >>> gumbel_top_k(torch.tensor([0.0, 90.0, 30.0, 60.0]), 3, seed=0)
        tensor([1, 3, 2])

    References:
        Kool, van Hoof, Welling. Stochastic beams and where to find them: the Gumbel-top-k trick for sampling sequences
        without replacement. ICML 2019.
        Yellott. The relationship between Luce's choice axiom, Thurstone's theory of comparative judgment, and the
        double exponential distribution. Journal of Mathematical Psychology 15, 1977.
    """
    check_flag(perturbed, "perturbed")
    rows = Rows.of(_allowed(logits, dim, mask), dim, row_offset, class_offset)
    most = _largest(k, rows.values)
    drawn = seed_of(generator, seed, logits.device, rows.groups)
    values, index = ops.gumbel_top_k(rows.values.detach(), most, drawn, *rows.place)
    if isinstance(k, Tensor):
        beyond = torch.arange(most, device=k.device) >= k[..., None]
        values, index = torch.where(beyond, -torch.inf, values), torch.where(beyond, -1, index)
    if not perturbed:
        return index.movedim(-1, dim)
    chosen = rows.values.gather(-1, index.clamp_min(0)).to(values.dtype)
    # A constant where there is no class, and where a number minus itself would be no number.
    values = straight_through(values, torch.where(values.isfinite(), chosen, 0.0))
    return index.movedim(-1, dim), values.movedim(-1, dim)


def relaxed_top_k(
    logits: Float[Tensor, "*shape"],
    k: int,
    tau: float | Float[Tensor, "..."] = 1.0,
    hard: bool = False,
    dim: int = -1,
    *,
    mask: Bool[Tensor, "..."] | None = None,
    generator: torch.Generator | None = None,
    seed: int | Tensor | None = None,
    row_offset: int = 0,
    class_offset: int = 0,
) -> Float[Tensor, "*shape"]:
    r"""Draw a relaxed set of k classes: the sum of k softmaxes, each of which leaves less to the classes it takes.

    .. math:: y = \sum_{j=1}^k a^j, \qquad a^j = \mathrm{softmax}(\alpha^j / \tau), \qquad
        \alpha^1 = l + g, \quad \alpha^{j+1} = \alpha^j + \log(1 - a^j)

    For small tau it is the set of :func:`gumbel_top_k`. The published sum exceeds one, mostly by a little, where two
    softmaxes take the same class, which is more than a set can hold: such entries are held at one here, and what they
    lose goes to the others in proportion (the projection onto [0, 1] and sum k in the sense of Kullback and Leibler).

    Args:
        logits: unnormalized log-probabilities with K classes along ``dim``; -inf is a class that is never drawn.
        k: size of the set, from 0 to K.
        tau: temperature, a positive number, or a tensor that broadcasts to the logits with one class and gets a
            gradient.
        hard: whether the forward value is zero or one: the set of the k largest l + g, with the gradient of y.
        dim: dimension of the classes.
        mask: True where a class is allowed; broadcasts to the logits. A row with k allowed classes or fewer is one
            where a class is allowed.
        generator: draws the seed; torch's default generator of the logits' device if None.
        seed: the seed itself, an int or a 0-dim int64 tensor, instead of ``generator``. One seed gives one sample.
        row_offset: number of the first row, when the logits are one part of a larger batch.
        class_offset: number of the first class.

    Returns:
        Sample of the shape and dtype of the logits, in [0, 1]; rows sum to k.

    Raises:
        ValueError: if ``k`` is not between 0 and K, if ``tau`` is a number that is not positive and finite, if
            ``generator`` and ``seed`` are both given, if the logits are 0-dim, or if a shape does not fit.
        TypeError: if a dtype or type is wrong.
        IndexError: if the logits have no dimension ``dim``.

    Example:
        >>> import torch
        >>> y = relaxed_top_k(torch.zeros(5), 2, tau=0.5, seed=0)
        >>> bool(y.sum().round(decimals=5) == 2)
        True
        >>> relaxed_top_k(torch.tensor([0.0, 90.0, 30.0, 60.0]), 2, hard=True, seed=0)
        tensor([0., 1., 0., 1.])

    References:
        Xie, Ermon. Reparameterizable subset sampling via continuous relaxations. IJCAI 2019.
    """
    check_flag(hard, "hard")
    check_temperature(tau, "for the limit of zero, an exact sample, use gumbel_top_k")
    scores = _perturbed(
        logits,
        dim,
        mask=mask,
        generator=generator,
        seed=seed,
        row_offset=row_offset,
        class_offset=class_offset,
    )
    check_count(k, "k")
    _largest(k, scores)
    tau = _of_rows(tau, logits, dim).to(scores) if isinstance(tau, Tensor) else tau
    allowed = scores != -torch.inf
    # Where there is nothing to choose, the set is what is allowed, and harmless numbers keep the formulas finite.
    free = allowed.sum(-1, keepdim=True) > k
    if k in (0, scores.shape[-1]):
        soft = allowed.to(scores.dtype) * min(k, 1)
    else:
        usable = allowed | ~free
        sums = _log_softmaxes(torch.where(free & allowed, scores, 0.0), usable, k, tau)
        soft = torch.where(free, torch.where(usable, _at_most_one(sums, k), 0.0), allowed.to(scores.dtype))
    if hard:
        ones = torch.zeros_like(soft).scatter(-1, scores.topk(k, -1)[1], 1.0)
        failed = scores.isnan().any(-1, keepdim=True)
        soft = torch.where(failed, torch.nan, straight_through(torch.where(allowed, ones, 0.0), soft))
    return soft.to(logits.dtype).movedim(-1, dim)


def _perturbed(
    logits: Tensor,
    dim: int,
    *,
    mask: Tensor | None,
    generator: torch.Generator | None,
    seed: int | Tensor | None,
    row_offset: int,
    class_offset: int,
) -> Tensor:
    """Logits with Gumbel noise, the classes moved to the last dimension, in the dtype to compute in."""
    logits = _allowed(logits, dim, mask).movedim(dim, -1)
    dtype = logits.dtype if logits.dtype == torch.float64 else torch.float32
    return logits.to(dtype) + gumbel_noise(
        logits.shape,
        dtype=dtype,
        device=logits.device,
        generator=generator,
        seed=seed,
        row_offset=row_offset,
        class_offset=class_offset,
    )


def _allowed(logits: Tensor, dim: int, mask: Tensor | None) -> Tensor:
    """The logits, -inf where a class is not allowed."""
    check_floating(logits, "logits")
    check_dim(dim, logits, "logits")
    if mask is None:
        return logits
    check_mask(mask, logits)
    return torch.where(mask, logits, -torch.inf)


def _largest(k: int | Tensor, scores: Tensor) -> int:
    """The largest of the numbers k, once all of them are known to be possible."""
    classes = scores.shape[-1]
    if isinstance(k, Tensor):
        if k.dtype != torch.int64 or k.shape != scores.shape[:-1]:
            raise ValueError(
                f"k must be an int, or an int64 tensor of the shape of the logits without their classes, "
                f"{tuple(scores.shape[:-1])}, but it is of dtype {k.dtype} and shape {tuple(k.shape)}; "
                f"give one number a row"
            )
        least, most = (int(k.min()), int(k.max())) if k.numel() else (0, 0)
    else:
        check_count(k, "k")
        least = most = int(k)
    if least < 0 or most > classes:
        raise ValueError(
            f"k must be between 0 and the number of classes, {classes}, but it is {least if least < 0 else most}; "
            "choose fewer, for no class is drawn twice"
        )
    return most


def _of_rows(tau: Tensor, logits: Tensor, dim: int) -> Tensor:
    """A temperature that broadcasts to the logits, for logits whose classes were moved to the last dimension."""
    shape = (1,) * (logits.dim() - tau.dim()) + tuple(tau.shape)
    fits = len(shape) == logits.dim() and all(t in (1, n) for t, n in zip(shape, logits.shape, strict=True))
    if not fits or shape[dim] != 1:
        raise ValueError(
            f"tau must broadcast to the shape of the logits, {tuple(logits.shape)}, with one temperature a row, but "
            f"its shape is {tuple(tau.shape)}; give it the shape of the logits with a 1 in place of their classes"
        )
    return tau.reshape(shape).movedim(dim, -1)


def _log_softmaxes(scores: Tensor, usable: Tensor, k: int, tau: float | Tensor) -> Tensor:
    """The logarithm of the sum of k softmaxes of what the ones before leave."""
    # Finite stand-ins for -inf keep the gradients finite: nothing is as small as the first, nor falls as far as the
    # second in one step.
    nothing, fall = torch.finfo(scores.dtype).min / 4, -1e15
    total = torch.full_like(scores, nothing)
    for step in range(k):
        # The maximum is subtracted before the division: a small tau cannot overflow.
        best = torch.where(usable, scores, -torch.inf).amax(-1, keepdim=True).detach()
        log_share = torch.where(usable, (scores - best) / tau, -torch.inf).log_softmax(-1)
        total = torch.logaddexp(total, torch.where(usable, log_share, nothing))
        if step == k - 1:
            break
        # 1 - a of the largest share is the sum of the others, which may be far below one rounding error.
        winner = torch.zeros_like(usable).scatter(-1, log_share.argmax(-1, keepdim=True), True)
        others = torch.where(winner, -torch.inf, log_share).logsumexp(-1, keepdim=True)
        left = torch.where(winner, others, torch.log1p(-torch.where(winner, -torch.inf, log_share).exp()))
        scores = torch.where(usable, scores + left.clamp_min(fall), 0.0)
    return total


def _at_most_one(log_sums: Tensor, k: int) -> Tensor:
    """The nearest numbers of at most one with the same sum k: ``min(1, s y)`` with the right factor s."""
    ordered = log_sums.sort(-1, descending=True)[0]
    place = torch.arange(ordered.shape[-1], device=log_sums.device)
    with torch.no_grad():
        rest = ordered.flip(-1).logcumsumexp(-1).flip(-1)
        fits = (k - place).clamp_min(1).log() - rest + ordered <= 0
        # The fewest that are held at one; k - 1 always suffice, whatever rounding says.
        held = torch.where(fits | (place >= k - 1), place, k).amin(-1, keepdim=True)
    # Relative to the largest that is not held: what is far below one before is near one now.
    largest = ordered.gather(-1, held).detach()
    rest = torch.where(place < held, -torch.inf, ordered - largest).logsumexp(-1, keepdim=True)
    return ((k - held).log() - rest + (log_sums - largest)).clamp_max(0.0).exp()
