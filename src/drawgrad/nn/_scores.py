"""Scores of a token for thousands of experts, which exist in blocks only: the best one, and sums over their softmax."""

from __future__ import annotations

from functools import partial

import torch
from torch.utils.checkpoint import checkpoint

from drawgrad._typing import Float, Int, Tensor

__all__ = ["best_in_blocks", "softmax_in_blocks"]

ELEMENTS = 1 << 20
"""Scores that exist at a time: a few megabytes, which stay in the cache."""


def best_in_blocks(
    x: Float[Tensor, "n width"], weight: Float[Tensor, "experts width"], bias: Float[Tensor, " experts"]
) -> Int[Tensor, " n"]:
    """The expert of the largest score, W x + b; the first one of several.

    Args:
        x: tokens.
        weight: W, a row for each expert.
        bias: b.

    Returns:
        Numbers of experts, int64.
    """
    size = _size(len(x))
    found = [
        (x @ part.T + more).max(-1) for part, more in zip(weight.split(size), bias.split(size), strict=True)
    ]  # The best of each block.
    block = torch.stack([top for top, _ in found]).argmax(0, keepdim=True)
    places = torch.stack([place + number * size for number, (_, place) in enumerate(found)])
    return places.gather(0, block)[0]


def softmax_in_blocks(
    x: Float[Tensor, "n width"], weight: Float[Tensor, "experts width"], values: Float[Tensor, " experts"]
) -> tuple[Float[Tensor, " n"], Float[Tensor, " n"]]:
    r"""Log-sum-exp of the scores, and a mean over their softmax; the backward pass makes each block again.

    .. math:: \log \sum_e \exp l_e, \qquad \sum_e \mathrm{softmax}(l)_e\, v_e, \qquad l = W x

    Args:
        x: tokens.
        weight: W, a row for each expert.
        values: v, whose mean is taken.

    Returns:
        Both, for each token, differentiable in tokens and weights.
    """
    size = _size(len(x))
    # Nothing is kept for a backward pass that does not come, and an exported program has none.
    again = torch.is_grad_enabled() and not torch.compiler.is_exporting()
    of_block = partial(checkpoint, _of_block, use_reentrant=False, preserve_rng_state=False) if again else _of_block
    found = [of_block(x, *part) for part in zip(weight.split(size), values.split(size), strict=True)]
    logs, means = (torch.stack(each) for each in zip(*found, strict=True))
    total = logs.logsumexp(0)
    return total, ((logs - total).exp() * means).sum(0)


def _of_block(x: Tensor, weight: Tensor, values: Tensor) -> tuple[Tensor, Tensor]:
    logits = x @ weight.T
    log_sum = logits.logsumexp(-1)
    return log_sum, (logits - log_sum[:, None]).exp() @ values


def _size(rows: int) -> int:
    return max(1, ELEMENTS // max(1, rows))
