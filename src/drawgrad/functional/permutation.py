"""Permutations and matchings: scores to doubly stochastic matrices, relaxed samples, and the best hard assignment."""

from __future__ import annotations

import math
import warnings
from typing import Any, Literal, NamedTuple

import torch
from torch.library import custom_op

from drawgrad._checks import check_count, check_flag, check_floating, check_mask, check_nonnegative, check_temperature
from drawgrad._typing import Bool, Float, Tensor
from drawgrad.functional.noise import gumbel_noise
from drawgrad.functional.surrogate import straight_through

__all__ = ["Sinkhorn", "assignment", "gumbel_sinkhorn", "sinkhorn"]

FLOOR = -1e300
"""A finite stand-in for the logarithm of zero, which keeps gradients finite."""

Backward = Literal["implicit", "unrolled"]


class Sinkhorn(NamedTuple):
    """What :func:`sinkhorn` returns."""

    matrix: Tensor
    """The matrix, of the shape and dtype of the scores."""
    deviation: Tensor
    """Largest difference of a row or column sum from what it should be, float64, shape ``(*batch,)``."""
    converged: bool
    """Whether all deviations are within the tolerance."""


def sinkhorn(
    scores: Float[Tensor, "*batch n m"],
    tau: float | Float[Tensor, "..."] = 1.0,
    *,
    mask: Bool[Tensor, "..."] | None = None,
    tolerance: float = 1e-6,
    max_iterations: int = 1000,
    backward: Backward = "implicit",
) -> Sinkhorn:
    r"""The matrix with row and column sums of one that is best for the scores, less entropy: a relaxed matching.

    .. math:: P = \arg\max_P \langle P, S \rangle + \tau H(P) = \mathrm{diag}(u)\, e^{S / \tau}\, \mathrm{diag}(v)

    Rows and columns are normalized in turn, in log space and in float64. Of a rectangular matrix the longer side is
    matched in part: its sums are at most one, as if rows or columns of score zero made up a square.

    Args:
        scores: what it is worth to match a row with a column; -inf is a pair that cannot be matched.
        tau: temperature, a positive number, or a tensor that broadcasts to the scores with one row and one column and
            gets a gradient. Low ones are close to a permutation and need many iterations.
        mask: True where a pair can be matched; broadcasts to the scores. A row or column without any pair is not there.
        tolerance: largest deviation of a row or column sum at which to stop.
        max_iterations: how many times rows and columns are normalized at most.
        backward: how gradients are found: "implicit" from the matrix alone, by a linear system of the size of a side,
            "unrolled" through all iterations, which it keeps.

    Returns:
        The matrix, the deviation that is left, and whether that is within the tolerance; if not, there is a warning.

    Raises:
        ValueError: if ``tau`` is a number that is not positive and finite, if a shape does not fit, or if another
            option breaks its rule.
        TypeError: if a dtype or type is wrong.

    Example:
        >>> import torch
        >>> P = sinkhorn(torch.tensor([[1.0, 0.0, 0.0], [0.0, 2.0, 0.0], [0.0, 1.0, 0.0]]), tau=0.5).matrix
        >>> P.sum(0).round(decimals=4), P.sum(1).round(decimals=4)
        (tensor([1., 1., 1.]), tensor([1., 1., 1.]))

    References:
        Sinkhorn. A relationship between arbitrary positive matrices and doubly stochastic matrices. Annals of
        Mathematical Statistics 35, 1964. Mena, Belanger, Linderman, Snoek. Learning latent permutations with
        Gumbel-Sinkhorn networks. ICLR 2018. Eisenberger, Toker, Leal-Taixe, Bernard, Cremers. A unified framework for
        implicit Sinkhorn differentiation. CVPR 2022.
    """
    matrix, deviation = _matched(scores, tau, mask, tolerance, max_iterations, backward)
    _tell(deviation, tolerance, max_iterations)
    return Sinkhorn(matrix, deviation, bool((deviation <= tolerance).all()))


def gumbel_sinkhorn(
    scores: Float[Tensor, "*batch n m"],
    tau: float | Float[Tensor, "..."] = 1.0,
    hard: bool = False,
    *,
    scale: float = 1.0,
    mask: Bool[Tensor, "..."] | None = None,
    tolerance: float = 1e-6,
    max_iterations: int = 1000,
    backward: Backward = "implicit",
    generator: torch.Generator | None = None,
    seed: int | Tensor | None = None,
    row_offset: int = 0,
) -> Float[Tensor, "*batch n m"]:
    r"""Draw a relaxed matching: :func:`sinkhorn` of scores with Gumbel noise.

    .. math:: P = \mathrm{Sinkhorn}((S + s\, G) / \tau), \qquad G_{ij} \sim \mathrm{Gumbel}(0, 1)

    With ``hard=True`` the forward value is the permutation matrix of the largest total score with its noise, and the
    gradient is that of P. One compiled graph holds all of it with ``backward="implicit"``.

    Args:
        scores: what it is worth to match a row with a column; -inf is a pair that cannot be matched.
        tau: temperature, as in :func:`sinkhorn`.
        hard: whether the forward value is a permutation, found by :func:`assignment`, which needs SciPy.
        scale: s, what the noise is multiplied with, from 0 on.
        mask: True where a pair can be matched; broadcasts to the scores.
        tolerance: as in :func:`sinkhorn`.
        max_iterations: as in :func:`sinkhorn`.
        backward: as in :func:`sinkhorn`.
        generator: draws the seed; torch's default generator of the scores' device if None.
        seed: the seed itself, an int or a 0-dim int64 tensor, instead of ``generator``. One seed gives one sample.
        row_offset: number of the first row of scores, when they are one part of a larger batch.

    Returns:
        Matrices of the shape and dtype of the scores.

    Raises:
        ValueError: as :func:`sinkhorn` does; with ``hard`` also if the scores are not square, or if no permutation is
            allowed.
        TypeError: if a dtype or type is wrong.
        ImportError: with ``hard``, if SciPy is not installed.

    Example:
        >>> import torch
        >>> gumbel_sinkhorn(torch.tensor([[3.0, 0.0], [0.0, 3.0]]), hard=True, seed=0)
        tensor([[1., 0.],
                [0., 1.]])

    References:
        Mena, Belanger, Linderman, Snoek. Learning latent permutations with Gumbel-Sinkhorn networks. ICLR 2018.
    """
    check_flag(hard, "hard")
    check_nonnegative(scale, "scale")
    check_floating(scores, "scores")
    dtype = scores.dtype if scores.dtype == torch.float64 else torch.float32
    noise = gumbel_noise(
        scores.shape, dtype=dtype, device=scores.device, generator=generator, seed=seed, row_offset=row_offset
    )
    noisy = scores.to(dtype) + scale * noise
    if hard and mask is not None:
        check_mask(mask, scores)
    chosen = assignment(noisy if mask is None else torch.where(mask, noisy, -torch.inf)) if hard else None
    matrix, deviation = _matched(noisy, tau, mask, tolerance, max_iterations, backward)
    if not torch.compiler.is_compiling():
        _tell(deviation, tolerance, max_iterations)
    soft = matrix.to(scores.dtype)
    return soft if chosen is None else straight_through(chosen.to(scores.dtype), soft)


def assignment(scores: Float[Tensor, "*batch n n"]) -> Float[Tensor, "*batch n n"]:
    """The permutation matrix of the largest total score, by the solver of SciPy on the host.

    Args:
        scores: what it is worth to match a row with a column; -inf is a pair that cannot be matched. A row or column of
            which nothing can be matched is not there.

    Returns:
        Zeros and ones, without a gradient, of the shape and dtype of the scores; NaN where a score of the matrix is.

    Raises:
        ValueError: if the scores are not square, or if a matrix allows no permutation.
        TypeError: if they are not of a floating dtype.
        ImportError: if SciPy is not installed.

    Example:
        >>> import torch
        >>> assignment(torch.tensor([[3.0, 2.0], [2.0, 0.0]]))
        tensor([[0., 1.],
                [1., 0.]])

    References:
        Crouse. On implementing 2D rectangular assignment algorithms. IEEE Transactions on Aerospace and Electronic
        Systems 52, 2016.
    """
    check_floating(scores, "scores")
    if scores.dim() < 2 or scores.shape[-1] != scores.shape[-2]:
        raise ValueError(
            f"scores must be square to be assigned, shape (*batch, n, n), but their shape is {tuple(scores.shape)}; "
            "fill them up to a square with zeros"
        )
    compute = _assignment_operator if torch.compiler.is_compiling() else _assigned
    found: Tensor = compute(scores.detach())
    return found


def _assigned(scores: Tensor) -> Tensor:
    """What :func:`assignment` returns, on the host."""
    try:
        from scipy.optimize import linear_sum_assignment  # type: ignore[import-untyped]
    except ImportError as error:
        raise ImportError(
            "a hard permutation is found by SciPy, which is not installed; pip install 'drawgrad[matching]'"
        ) from error
    n = scores.shape[-1]
    host = scores.double().cpu().reshape(-1, n, n) if scores.numel() else scores.new_zeros(0, n, n)
    result = torch.zeros_like(host)
    for number, each in enumerate(host):
        if bool(each.isnan().any()):
            result[number] = torch.nan
            continue
        possible = each > -torch.inf
        rows, columns = (possible.any(side).nonzero()[:, 0] for side in (1, 0))
        try:
            if len(rows) != len(columns):
                raise ValueError(f"{len(rows)} rows and {len(columns)} columns")
            chosen = linear_sum_assignment(each[rows][:, columns].numpy(), maximize=True)
        except ValueError as error:
            raise ValueError(
                f"scores must allow a permutation, but those of matrix {number} do not ({error}); allow more pairs"
            ) from error
        result[number, rows[chosen[0]], columns[chosen[1]]] = 1.0
    return result.reshape(scores.shape).to(scores)


def _matched(
    scores: Tensor, tau: float | Tensor, mask: Tensor | None, tolerance: float, max_iterations: int, backward: str
) -> tuple[Tensor, Tensor]:
    """Matrix and deviations."""
    _check_options(scores, tau, tolerance, max_iterations, backward)
    if mask is not None:
        check_mask(mask, scores)
        scores = torch.where(mask, scores, -torch.inf)
    if isinstance(tau, Tensor):
        tau = _of_matrices(tau, scores)
    n, m = scores.shape[-2:]
    allowed = scores != -torch.inf
    wide = torch.where(allowed, scores, 0.0).double() / tau
    # Rows and columns of which nothing is left are not there, so the two sides may differ in number.
    rows, columns = allowed.any(-1).double(), allowed.any(-2).double()
    if n != m or mask is not None:
        excess = columns.sum(-1, keepdim=True) - rows.sum(-1, keepdim=True)
        rows = torch.cat([rows, excess.clamp_min(0)], -1)
        columns = torch.cat([columns, (-excess).clamp_min(0)], -1)
        wide = torch.nn.functional.pad(wide, (0, 1, 0, 1))
        allowed = torch.nn.functional.pad(allowed, (0, 1, 0, 1), value=True)
        corner = torch.zeros_like(allowed)
        corner[..., -1, -1] = True
        allowed = allowed & ~corner
    allowed = allowed & (rows > 0)[..., :, None] & (columns > 0)[..., None, :]
    batch = scores.shape[:-2]
    inputs = [value.reshape(math.prod(batch), *value.shape[len(batch) :]) for value in (wide, allowed, rows, columns)]
    # A compiler does not follow an iteration that looks at numbers: it takes it as one operation.
    implicit = _operator if torch.compiler.is_compiling() else _Implicit.apply
    solve: Any = implicit if backward == "implicit" else _normalized
    matrix, deviation = solve(*inputs, tolerance, max_iterations)
    matrix = matrix.reshape(*batch, *matrix.shape[1:])[..., :n, :m]
    return matrix.to(scores.dtype), deviation.reshape(batch)


def _tell(deviation: Tensor, tolerance: float, max_iterations: int) -> None:
    """Warn of sums that are still off; those of a matrix with a NaN are no news."""
    off = deviation > tolerance
    if bool(off.any()):
        warnings.warn(
            f"sinkhorn left row or column sums off by {deviation[off].max().item():.3g} after max_iterations = "
            f"{max_iterations}, more than tolerance = {tolerance:g}; allow more iterations or a larger deviation, or "
            f"raise tau; where a mask leaves no complete matching, no number of iterations suffices",
            RuntimeWarning,
            stacklevel=3,
        )


def _check_options(scores: Tensor, tau: float | Tensor, tolerance: float, max_iterations: int, backward: str) -> None:
    check_floating(scores, "scores")
    if scores.dim() < 2:
        raise ValueError(f"scores must be matrices, shape (*batch, n, m), but their shape is {tuple(scores.shape)}")
    check_temperature(tau, "for the limit of zero, a permutation, use assignment")
    check_nonnegative(tolerance, "tolerance")
    check_count(max_iterations, "max_iterations", minimum=1)
    if backward not in ("implicit", "unrolled"):
        raise ValueError(f"backward must be 'implicit' or 'unrolled', but it is {backward!r}")


def _of_matrices(tau: Tensor, scores: Tensor) -> Tensor:
    shape = (1,) * (scores.dim() - tau.dim()) + tuple(tau.shape)
    batch_fits = len(shape) == scores.dim() and all(t in (1, n) for t, n in zip(shape, scores.shape, strict=True))
    if not batch_fits or shape[-2:] != (1, 1):
        raise ValueError(
            f"tau must hold one temperature a matrix, shape (*batch, 1, 1) for scores of shape {tuple(scores.shape)}, "
            f"but its shape is {tuple(tau.shape)}"
        )
    return tau.to(scores.device, torch.float64).reshape(shape)


def _normalized(
    scores: Tensor, allowed: Tensor, rows: Tensor, columns: Tensor, tolerance: float, most: int
) -> tuple[Tensor, Tensor]:
    """Rows and columns normalized in turn; matrices and the largest deviations of their sums."""
    scores = torch.where(allowed, scores, FLOOR)
    log_rows, log_columns = (torch.where(mass > 0, mass, 1.0).log() for mass in (rows, columns))
    left, right = torch.zeros_like(rows), torch.zeros_like(columns)
    if not scores.numel():
        return torch.zeros_like(scores), scores.new_zeros(len(scores))
    for iteration in range(most):
        sums = (scores + right[:, None, :]).logsumexp(2)
        # After the first iteration the columns are right, up to rounding: what is left is in the rows.
        off = torch.where(rows > 0, ((sums + left).detach().exp() - rows).abs(), 0.0)
        if iteration and not bool((off > tolerance).any()):
            break
        left = torch.where(rows > 0, log_rows - sums, 0.0)
        sums = (scores + left[:, :, None]).logsumexp(1)
        right = torch.where(columns > 0, log_columns - sums, 0.0)
    matrix = torch.where(allowed, (scores + left[:, :, None] + right[:, None, :]).exp(), 0.0)
    with torch.no_grad():
        of_rows, of_columns = (matrix.sum(2) - rows).abs(), (matrix.sum(1) - columns).abs()
        deviation = torch.maximum(of_rows.amax(1), of_columns.amax(1))
    return matrix, deviation


class _Implicit(torch.autograd.Function):
    """The same matrices; the derivative follows from the conditions that they meet."""

    @staticmethod
    def forward(*inputs: Any) -> tuple[Tensor, Tensor]:
        return _normalized(*inputs)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, Tensor]) -> None:
        matrix, deviation = output
        ctx.mark_non_differentiable(deviation)
        ctx.save_for_backward(matrix)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        r"""P (G - u - v), with u and v such that rows and columns sum to zero."""
        (matrix,) = ctx.saved_tensors
        weighted = matrix * grads[0]
        rows, columns = matrix.sum(2), matrix.sum(1)
        row_mass = torch.where(rows > 0, rows, 1.0)
        of_rows, of_columns = weighted.sum(2), weighted.sum(1)
        shares = matrix / row_mass[:, :, None]
        # Without u: a graph's Laplacian, whose null space says that u + c and v - c are the same.
        system = torch.diag_embed(columns) - matrix.transpose(1, 2) @ shares
        right_side = of_columns - (shares.transpose(1, 2) @ of_rows[:, :, None])[:, :, 0]
        v = (torch.linalg.pinv(system, hermitian=True) @ right_side[:, :, None])[:, :, 0]
        u = (of_rows - (matrix @ v[:, :, None])[:, :, 0]) / row_mass
        return weighted - matrix * (u[:, :, None] + v[:, None, :]), None, None, None, None, None


def _told(scores: Tensor, allowed: Tensor, rows: Tensor, columns: Tensor, tolerance: float, most: int) -> Any:
    """The same in compiled code, which has no numbers to look at before it runs."""
    matrix, deviation = _normalized(scores, allowed, rows, columns, tolerance, most)
    _tell(deviation, tolerance, most)
    return matrix, deviation


_operator = custom_op(
    "drawgrad::sinkhorn",
    _told,
    mutates_args=(),
    schema="(Tensor scores, Tensor allowed, Tensor rows, Tensor columns, float tolerance, int most) "
    "-> (Tensor, Tensor)",
)
_operator.register_autograd(_Implicit.backward, setup_context=_Implicit.setup_context)
_assignment_operator = custom_op("drawgrad::assignment", _assigned, mutates_args=(), schema="(Tensor scores) -> Tensor")


@_operator.register_fake
def _(scores: Tensor, *_: object) -> tuple[Tensor, Tensor]:
    return torch.empty_like(scores), scores.new_empty(len(scores))


@_assignment_operator.register_fake
def _(scores: Tensor) -> Tensor:
    return torch.empty_like(scores)
