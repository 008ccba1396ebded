"""Likelihood of binary pixels, for the many samples by which a model is measured."""

from __future__ import annotations

import functools
import math

import torch
from torch.nn import functional as F

from drawgrad._typing import Float, Tensor

__all__ = ["log_likelihood_of_pixels"]

FACTORS = 4
"""Numbers that share one logarithm: their product is finite as long as none of them is above e^22."""


def log_likelihood_of_pixels(
    logits: Float[Tensor, "samples images pixels"], x: Float[Tensor, "images pixels"]
) -> Float[Tensor, "samples images"]:
    """log p(x) of binary images whose pixels are independent, one log-likelihood for each sample of their log-odds.

    Of a pixel with log-odds o it is -softplus(-o) where the pixel is 1, and -softplus(o) where it is 0. A sum of
    softplus is the logarithm of a product, so that most of the logarithms, which are most of the time, are left out.

    Args:
        logits: Log-odds of a 1; overwritten.
        x: Images of zeros and ones.
    """
    against = logits.mul_(1 - 2 * x)
    chances = against.exp().add_(1).chunk(math.gcd(FACTORS, x.shape[-1]), -1)
    total = functools.reduce(torch.mul, chances).log().sum(-1)
    if total.isinf().any():
        total = F.softplus(against).sum(-1)
    return -total
