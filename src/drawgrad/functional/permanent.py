"""Permutations whose probability is a product of weights: the permanent that normalizes them, marginals and samples."""

from __future__ import annotations

import functools
import math

import torch

from drawgrad._checks import check_floating
from drawgrad._typing import Float, Int, Tensor
from drawgrad.functional.noise import gumbel_noise

__all__ = ["log_permanent", "permutation_marginals", "permutation_sample"]

LARGEST = 16
"""Rows of a matrix: the work is 2^n n / 2 for each, half a million."""
FLOOR = -1e300
"""A finite stand-in for the logarithm of zero, which keeps gradients finite."""


def log_permanent(scores: Float[Tensor, "*batch n n"]) -> Float[Tensor, "*batch"]:
    r"""The logarithm of a permanent: the normalizer of permutations whose probability is a product of weights.

    .. math:: \log \mathrm{per}(e^S) = \log \sum_\pi \prod_i e^{S_{i \pi(i)}}

    Row by row, by the set of columns that are taken: 2^n n / 2 terms, in float64 whatever the dtype of the scores. Its
    gradient are the :func:`permutation_marginals`, and it has derivatives of any order.

    Args:
        scores: log-weights of the pairs of a row and a column, for at most 16 rows; -inf is a pair that never occurs.

    Returns:
        The logarithm in the dtype of the scores; -inf where no permutation is possible.

    Raises:
        ValueError: if the scores are not square, or have more than 16 rows.
        TypeError: if they are not of a floating dtype.

    Example:
        >>> import torch
        >>> log_permanent(torch.tensor([[1.0, 2.0], [3.0, 4.0]]).log()).exp().round()  # 1 * 4 + 2 * 3
        tensor(10.)

    References:
        Bellman. Dynamic programming treatment of the travelling salesman problem. Journal of the ACM 9, 1962 (sums
        over sets). Ryser. Combinatorial mathematics. 1963.
    """
    front, flat = _matrices(scores)
    value = _by_taken_columns(flat)[-1][:, 0]
    value = torch.where(value < FLOOR / 2, -torch.inf, value)
    return _like(value, scores, front, 2)


def permutation_marginals(scores: Float[Tensor, "*batch n n"]) -> Float[Tensor, "*batch n n"]:
    r"""The probability of each pair of a row and a column in a random permutation.

    .. math:: \mu_{ij} = P(\pi(i) = j), \qquad P(\pi) = \frac{1}{\mathrm{per}(e^S)} \prod_i e^{S_{i \pi(i)}}

    Args:
        scores: as in :func:`log_permanent`.

    Returns:
        A doubly stochastic matrix of the shape and dtype of the scores; zero where no permutation is possible.

    Raises:
        ValueError: as :func:`log_permanent` does.
        TypeError: likewise.

    Example:
        >>> import torch
        >>> permutation_marginals(torch.tensor([[1.0, 2.0], [3.0, 4.0]]).log())
        tensor([[0.4000, 0.6000],
                [0.6000, 0.4000]])
    """
    front, flat = _matrices(scores)
    n = flat.shape[-1]
    before, after = _by_taken_columns(flat), _by_taken_columns(flat.flip(1))
    total = before[-1]
    rows = []
    for row, (predecessor, column) in enumerate(_sets(n, flat.device)):
        # Complements of sets in ascending order are in descending order.
        rest = after[n - row - 1].flip(-1)
        log_p = before[row][:, predecessor] + flat[:, row][:, column] + rest[:, :, None] - total[:, :, None]
        p = torch.where(total[:, :, None] < FLOOR / 2, 0.0, log_p.exp()).flatten(1)
        rows.append(torch.zeros_like(flat[:, row]).scatter_add(1, column.flatten().expand(len(flat), -1), p))
    return _like(torch.stack(rows, 1) if rows else flat, scores, front, 0)


def permutation_sample(
    scores: Float[Tensor, "*batch n n"],
    *,
    generator: torch.Generator | None = None,
    seed: int | Tensor | None = None,
    row_offset: int = 0,
) -> Int[Tensor, "*batch n"]:
    """Draw a random permutation, exactly, with probability proportional to the product of its weights.

    From the last row to the first, each column by its exact conditional probability. No gradient reaches the scores.

    Args:
        scores: as in :func:`log_permanent`.
        generator: draws the seed; torch's default generator of the scores' device if None.
        seed: the seed itself, an int or a 0-dim int64 tensor, instead of ``generator``. One seed gives one sample.
        row_offset: number of the first matrix, when they are one part of a larger batch.

    Returns:
        The column of each row, int64; -1 in all of them where no permutation is possible or a score is NaN.

    Raises:
        ValueError: as :func:`log_permanent` does.
        TypeError: likewise.

    Example:
        >>> import torch
        >>> permutation_sample(torch.tensor([[0.0, 90.0, 0.0], [90.0, 0.0, 0.0], [0.0, 0.0, 90.0]]), seed=0)
        tensor([1, 0, 2])
    """
    with torch.no_grad():
        front, flat = _matrices(scores)
        count, n = len(flat), flat.shape[-1]
        before = _by_taken_columns(flat)
        draws = math.prod(front) * count
        noise = gumbel_noise(
            (*scores.shape[:-2], n * n), dtype=torch.float64, device=flat.device, generator=generator, seed=seed,
            row_offset=row_offset,
        ).reshape(draws, n, n)  # fmt: skip
        matrix = torch.arange(draws, device=flat.device)[:, None] % max(count, 1)
        at = torch.zeros(draws, 1, dtype=torch.int64, device=flat.device)
        result = torch.full((draws, n), -1, device=flat.device)
        for row, (predecessor, column) in reversed(list(enumerate(_sets(n, flat.device)))):
            earlier, possible = predecessor[at[:, 0]], column[at[:, 0]]
            weight = before[row][matrix, earlier] + flat[matrix, row, possible]
            best = (weight + noise[:, row].gather(1, possible)).argmax(-1, keepdim=True)
            result[:, row] = possible.gather(1, best)[:, 0]
            at = earlier.gather(1, best)
        found = before[-1][matrix[:, 0]] > FLOOR / 2
        return torch.where(found, result, -1).reshape(scores.shape[:-1])


def _matrices(scores: Tensor) -> tuple[list[int], Tensor]:
    """The leading dimensions that only repeat what is inside, samples mostly; the matrices inside, in float64."""
    check_floating(scores, "scores")
    if scores.dim() < 2 or scores.shape[-1] != scores.shape[-2] or scores.shape[-1] > LARGEST:
        raise ValueError(
            f"scores must be square matrices with at most {LARGEST} rows, shape (*batch, n, n), but their shape is "
            f"{tuple(scores.shape)}; larger permutations have no exact law here: draw relaxed ones by gumbel_sinkhorn"
        )
    front: list[int] = []
    while scores.dim() > 2 and scores.shape[0] > 1 and scores.stride(0) == 0:
        front.append(scores.shape[0])
        scores = scores[0]
    flat = scores.reshape(math.prod(scores.shape[:-2]), *scores.shape[-2:]).double()
    return front, torch.where(flat == -torch.inf, FLOOR, flat)


def _like(flat: Tensor, scores: Tensor, front: list[int], fewer: int) -> Tensor:
    """Results of matrices in the layout of the scores, with as many dimensions fewer."""
    shape = scores.shape[: scores.dim() - fewer]
    return flat.reshape(shape[len(front) :]).expand(shape).to(scores.dtype)


def _by_taken_columns(flat: Tensor) -> list[Tensor]:
    """For each number of rows from 0 on: the log-weight of all ways in which they take a set of columns."""
    levels = [flat.new_zeros(len(flat), 1)]
    for row, (predecessor, column) in enumerate(_sets(flat.shape[-1], flat.device)):
        levels.append((levels[-1][:, predecessor] + flat[:, row][:, column]).logsumexp(-1))
    return levels


def _sets(n: int, device: torch.device) -> list[tuple[Tensor, Tensor]]:
    """For each size from 1 to n, of each set of columns in ascending order of its bits: what it is without one of them.

    Returns:
        Numbers of the sets with one column fewer, and that column; both of shape ``(sets, size)``.
    """
    return _listed(n, device) if torch.compiler.is_compiling() else _kept(n, device)


@functools.lru_cache(maxsize=32)
def _kept(n: int, device: torch.device) -> list[tuple[Tensor, Tensor]]:
    # For later calls, which may want gradients.
    with torch.inference_mode(False):
        return _listed(n, device)


def _listed(n: int, device: torch.device) -> list[tuple[Tensor, Tensor]]:
    every, columns = torch.arange(2**n, device="cpu"), torch.arange(n, device="cpu")
    bits = every[:, None] >> columns & 1
    counts = [math.comb(n, size) for size in range(n + 1)]
    # Sets in the order of their sizes, whose numbers are known beforehand: nothing here depends on data.
    order = bits.sum(-1).argsort(dim=0, stable=True)
    within = torch.cat([torch.arange(count, device="cpu") for count in counts])
    number = torch.zeros_like(every).scatter(0, order, within)
    plan = []
    for size, sets in list(enumerate(order.split(counts)))[1:]:
        column = bits[sets].argsort(dim=-1, descending=True, stable=True)[:, :size]
        plan.append((number[sets[:, None] ^ (1 << column)].to(device), column.to(device)))
    return plan
