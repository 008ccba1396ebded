"""Probabilities of sets that are drawn without replacement, and what each element counts for."""

from __future__ import annotations

import math

import torch
from torch import Tensor

__all__ = ["inclusion_weights", "points"]

BLOCK = 2**22
"""Numbers of the quadrature that are held at once: 32 MiB."""
TINY = -30.0
"""log x below which 1 - exp(-x) is x."""


def inclusion_weights(log_p: Tensor, outside: Tensor) -> tuple[Tensor, Tensor]:
    r"""What each element of a set S counts for, and what it counts for after a first one.

    .. math:: \pi_s \frac{P_s(S \setminus s)}{P(S)}, \qquad
        \pi_j \frac{P_{sj}(S \setminus sj)}{P_s(S \setminus s)} \quad (\pi_s \text{ for } j = s)

    P_C(T) is the probability that the first draws without replacement from all states but C are those of T. Drawing
    without replacement is a race of exponential clocks with rates pi, so all of them are integrals of one kind, with
    the probability lambda of what is outside of S:

    .. math:: P_C(S \setminus C) = \int_0^\infty e^{-y} \prod_{s \in S \setminus C} (1 - e^{-y \pi_s / \lambda})\, dy

    They are computed by the trapezoidal rule in log y, to about nine digits. All products are sums of logarithms, so
    that neither many elements nor rare ones make them vanish.

    Args:
        log_p: log-probabilities of the elements of S, float64, shape ``(rows, k)``. Those of probability zero are left
            out of S.
        outside: lambda, shape ``(rows,)``.

    Returns:
        Weights of shape ``(rows, k)``, and of shape ``(rows, k, k)`` for s and j.
    """
    k = log_p.shape[1]
    low, high, step = _grid(k)
    log_y = torch.arange(low, high, step, dtype=log_p.dtype, device=log_p.device)
    rows = max(1, BLOCK // (k * len(log_y)))
    if not len(log_p):
        return log_p.exp(), log_p.exp()[..., None].expand(-1, -1, k)
    parts = zip(log_p.split(rows), outside.split(rows), strict=True)
    blocks = [_weights(block, beyond, log_y) for block, beyond in parts]
    return torch.cat([first for first, _ in blocks]), torch.cat([second for _, second in blocks])


def points(k: int) -> int:
    """Of the quadrature for k elements: how many there are."""
    low, high, step = _grid(k)
    return math.ceil((high - low) / step)


def _grid(k: int) -> tuple[float, float, float]:
    # The integrand falls like y on the left, decays like y^k exp(-y) on the right, and is as narrow as 1/sqrt(k).
    return -28.0, math.log(k + 1 + 12 * math.sqrt(k + 1) + 30), min(0.3, 0.9 / math.sqrt(k + 1))


def _weights(log_p: Tensor, outside: Tensor, log_y: Tensor) -> tuple[Tensor, Tensor]:
    left_out = log_p == -torch.inf
    log_rate = torch.where(left_out, 0.0, log_p - outside.log()[:, None])
    # Scaled by their sizes, which go into the weights: what is left are numbers between y and 1.
    size = torch.where(left_out, 0.0, log_rate.clamp_max(0))
    log_x = log_rate[..., None] + log_y
    log_factor = torch.where(log_x < TINY, log_x, (-torch.expm1(-log_x.clamp_min(TINY - 1).exp())).log())
    log_factor = torch.where(left_out[..., None], 0.0, log_factor - size[..., None])
    log_whole = log_y - log_y.exp() + log_factor.sum(1)
    log_whole = log_whole - log_whole.amax(-1, keepdim=True)
    inverse = (-log_factor).exp()
    one = (log_whole[:, None] - log_factor).exp()
    without_one = one.sum(-1)
    without_two = one @ inverse.transpose(1, 2)
    # pi_s without the size of s: lambda where the element is rare.
    p = torch.where(left_out, 0.0, (log_p - size).exp())
    second = without_two / without_one[..., None] * p[:, None]
    diagonal = torch.eye(log_p.shape[1], dtype=torch.bool, device=log_p.device)
    first = without_one / log_whole.exp().sum(-1, keepdim=True) * p
    return first, torch.where(diagonal, log_p.exp()[:, None], second)
