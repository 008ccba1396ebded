"""Probabilities of sets that are drawn without replacement, and their ratios."""

from __future__ import annotations

import math

import torch
from torch import Tensor

__all__ = ["leave_one_out_ratios"]

BLOCK = 2**22
"""Numbers of the quadrature that are held at once: 32 MiB."""


def leave_one_out_ratios(p: Tensor) -> tuple[Tensor, Tensor]:
    r"""How much likelier a set is once one of its elements was drawn first, and the same after a first one.

    .. math:: R(S, s) = \frac{P_s(S \setminus s)}{P(S)}, \qquad
        R_s(S, j) = \frac{P_{sj}(S \setminus sj)}{P_s(S \setminus s)}

    P_C(T) is the probability that the first draws without replacement from all states but C are those of T. Drawing
    without replacement is a race of exponential clocks with rates pi, so all of them are integrals of one kind, with
    the probability lambda of what is outside of S:

    .. math:: P_C(S \setminus C) = \int_0^\infty e^{-y} \prod_{s \in S \setminus C} (1 - e^{-y \pi_s / \lambda})\, dy

    They are computed by the trapezoidal rule in log y, to about nine digits.

    Args:
        p: probabilities of the elements of S, float64, shape ``(rows, k)``. Those that are zero are left out of S.

    Returns:
        R(S, s), shape ``(rows, k)``, and R_s(S, j), shape ``(rows, k, k)``, with ones on its diagonal.
    """
    k = p.shape[1]
    # The integrand falls like y on the left, decays like y^k exp(-y) on the right, and is as narrow as 1/sqrt(k).
    step = min(0.3, 0.9 / math.sqrt(k + 1))
    low, high = -28.0, math.log(k + 1 + 12 * math.sqrt(k + 1) + 30)
    y = torch.arange(low, high, step, dtype=p.dtype, device=p.device).exp()
    measure = y * (-y).exp()
    rows = max(1, BLOCK // (k * len(y)))
    ratios = (
        [_ratios(block, y, measure) for block in p.split(rows)] if len(p) else [(p, p[..., None].expand(-1, -1, k))]
    )
    return torch.cat([first for first, _ in ratios]), torch.cat([second for _, second in ratios])


def _ratios(p: Tensor, y: Tensor, measure: Tensor) -> tuple[Tensor, Tensor]:
    left_out = (p == 0)[..., None]
    outside = (1 - p.sum(1)).clamp_min(0)[:, None, None]
    rate = torch.where(left_out, 1.0, p[..., None]) / outside
    # Scaled by their sizes: a product of many small factors must not vanish.
    size = torch.where(left_out, 1.0, rate.clamp_max(1))
    factor = torch.where(left_out, 1.0, -torch.expm1(-rate * y) / size)
    whole = measure * factor.prod(1, keepdim=True)
    inverse = 1 / factor
    one = whole * inverse
    without_one = one.sum(-1)
    without_two = one @ inverse.transpose(1, 2)
    size = size[..., 0]
    second = without_two / (without_one[..., None] * size[:, None])
    diagonal = torch.eye(p.shape[1], dtype=torch.bool, device=p.device)
    return without_one / (whole.sum(-1) * size), torch.where(diagonal, 1.0, second)
