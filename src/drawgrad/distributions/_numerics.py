"""Small formulas that several distributions share, exact at their edges."""

from __future__ import annotations

import math
from numbers import Real
from typing import Any

import torch
from torch import Tensor

__all__ = [
    "as_tensor",
    "held",
    "log_indicator",
    "log_odds",
    "log_of_rounded",
    "log_or_minus_infinity",
    "logistic_log_density",
    "scalar",
    "wide_dtype",
]


def as_tensor(value: Any, like: Any) -> Any:
    """A number as a tensor of the kind of another parameter; anything else as it is, for the checks that follow."""
    if isinstance(value, bool) or not isinstance(value, Real | torch.SymFloat):
        return value
    like = like if isinstance(like, Tensor) and like.is_floating_point() else torch.empty(())
    return scalar(value, like.dtype, like.device)


def scalar(value: Any, dtype: torch.dtype, device: torch.device) -> Tensor:
    """A number as a tensor of shape ``()``."""
    if torch.compiler.is_compiling():
        # A compiled product does not depend on the number's value, a compiled constant does.
        return torch.ones((), dtype=dtype, device=device) * value
    return torch.full((), float(value), dtype=dtype, device=device)


def wide_dtype(*dtypes: torch.dtype) -> torch.dtype:
    """The dtype to compute in: float32, or float64 if any of the dtypes is."""
    return torch.float64 if torch.float64 in dtypes else torch.float32


def log_or_minus_infinity(values: Tensor) -> Tensor:
    """The logarithm, with a zero gradient instead of a NaN where the value is zero."""
    positive = values > 0
    return torch.where(positive, torch.where(positive, values, 1.0).log(), -torch.inf)


def log_odds(probs: Tensor) -> Tensor:
    """Log-odds of probabilities, infinite where they are exactly 0 or 1."""
    return log_or_minus_infinity(probs) - log_or_minus_infinity(1 - probs)


def log_of_rounded(values: Tensor, dtype: torch.dtype, slope: Tensor) -> Tensor:
    """The logarithm of numbers that were rounded to ``dtype``.

    Args:
        values: numbers of ``dtype`` from 0 on, in any dtype. Zero stands for the smallest number above it.
        dtype: the dtype whose rounding they went through, and which has to hold their gradient.
        slope: bound of the derivative for the logarithm, broadcasts to ``values``. Where the derivative for the value
            would overflow, the value is a constant.
    """
    info = torch.finfo(dtype)
    slope = slope.detach()
    # Added as logarithms: the number itself is subnormal, and some devices would flush it to zero.
    smallest = math.log(info.tiny) + math.log(info.eps)
    positive = values > 0
    logarithm = torch.where(positive, torch.where(positive, values, 1.0).log(), smallest)
    return held(logarithm, values <= slope / info.max)


def held(values: Tensor, where: Tensor) -> Tensor:
    """The values, constants where said: there a derivative would overflow the dtype that has to hold it."""
    return torch.where(where, values.detach(), values) if values.requires_grad else values


def log_indicator(event: Tensor, like: Tensor) -> Tensor:
    """Zero where the event is true, -inf elsewhere."""
    return torch.where(event, torch.zeros_like(like), -torch.inf)


def logistic_log_density(z: Tensor) -> Tensor:
    """Log-density of the standard logistic distribution; neither tail overflows."""
    return torch.nn.functional.logsigmoid(z) + torch.nn.functional.logsigmoid(-z)
