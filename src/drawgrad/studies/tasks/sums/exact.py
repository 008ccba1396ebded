"""The exact probability of a sum: by convolution in each column, and from column to column by what is carried."""

from __future__ import annotations

import functools

import torch

from drawgrad._typing import Float, Int, Tensor
from drawgrad.logic import Linear, Log, Problem, SoftDomains

__all__ = ["column_sums", "most_likely_sum", "sum_log_prob"]

NEVER = -1e4
"""The logarithm of what is impossible: finite, so that gradients are."""
TOGETHER = 1 << 20
"""Sums whose probabilities are computed in one call."""


@functools.cache
def _column(addends: int) -> Problem:
    """Digits, and their sum as one more variable."""
    sizes = [10] * addends + [9 * addends + 1]
    return Problem(addends + 1, sizes, [Linear(range(addends), [1] * addends, "==", total=addends)])


def column_sums(log_probs: Float[Tensor, "*batch addends digits 10"]) -> Float[Tensor, "*batch digits sums"]:
    """Log-probabilities of the sum of each column's digits.

    Args:
        log_probs: Of independent digits.
    """
    addends = log_probs.shape[-3]
    problem = _column(addends)
    digits = log_probs.transpose(-3, -2)
    padded = torch.nn.functional.pad(digits, (0, problem.values - 10), value=-torch.inf)
    anything = padded.new_zeros(*padded.shape[:-2], 1, problem.values)
    found = problem.propagate(SoftDomains(torch.cat([padded, anything], -2), Log()), rounds=1)
    return found.log_probs()[..., addends, :].clamp_min(NEVER)


def sum_log_prob(
    columns: Float[Tensor, "count digits sums"], totals: Int[Tensor, "count"], addends: int
) -> Float[Tensor, "count"]:
    """Log-probabilities of sums of numbers.

    Args:
        columns: What :func:`column_sums` returns, the most significant digit first.
        totals: The sums.
        addends: How many numbers are added, from which follows how much can be carried.
    """
    count, digits, sums = columns.shape
    carried = torch.arange(addends)
    # Log-probability of all digits so far, and of what they carry; nothing is carried into the last column.
    state = columns.new_full((count, addends), NEVER).index_fill(1, torch.tensor([0]), 0.0)
    for place in range(digits - 1, -1, -1):
        # The first column takes all that is left of the sum.
        shown, out = (totals % 10, carried) if place else (totals, carried[:1])
        totals = totals // 10
        needed = shown[:, None, None] + 10 * out - carried[:, None]
        possible = (needed >= 0) & (needed < sums)
        log = columns[:, place].gather(-1, needed.clamp(0, sums - 1).flatten(1)).reshape(needed.shape)
        state = (state[..., None] + torch.where(possible, log, NEVER)).logsumexp(1)
    return state[:, 0]


def most_likely_sum(columns: Float[Tensor, "count digits sums"], addends: int) -> Int[Tensor, "count"]:
    """The most likely sum of each row, among all of them."""
    digits = columns.shape[1]
    totals = torch.arange(addends * (10**digits - 1) + 1)
    found = []
    for part in columns.split(max(1, TOGETHER // len(totals))):
        rows = part.repeat_interleave(len(totals), 0)
        found.append(sum_log_prob(rows, totals.repeat(len(part)), addends).reshape(len(part), -1).argmax(-1))
    return torch.cat(found)
