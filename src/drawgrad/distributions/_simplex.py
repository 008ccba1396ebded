"""The simplex as a support, as far as rounded numbers can keep to it."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.distributions import biject_to, constraints, transform_to

from drawgrad.distributions._numerics import wide_dtype

__all__ = ["rounded_simplex"]


class _Simplex(type(constraints.simplex)):  # type: ignore[misc]
    """torch's constraint, which asks for a sum of one to 1e-6, and refuses rounded points of many classes.

    K numbers that were added up one after the other in float32 are off by K / 2 of its epsilons at most, and so is
    what is divided by their sum; rounding to a narrower dtype adds one of its epsilons, and half its smallest number
    for each class.
    """

    def check(self, value: Tensor) -> Tensor:
        wide = wide_dtype(value.dtype)
        k = value.shape[-1]
        tolerance = max(1e-6, k * torch.finfo(wide).eps / 2)
        if value.is_floating_point() and value.dtype != wide:
            narrow = torch.finfo(value.dtype)
            tolerance += narrow.eps + k * narrow.tiny * narrow.eps / 2
        return (value >= 0).all(-1) & ((value.sum(-1, dtype=wide) - 1).abs() <= tolerance)


rounded_simplex = _Simplex()
# The registries go by type: the way to this simplex is the way to torch's.
biject_to.register(_Simplex, lambda _: biject_to(constraints.simplex))
transform_to.register(_Simplex, lambda _: transform_to(constraints.simplex))
