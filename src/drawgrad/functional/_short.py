"""The short way of an ordinary call: classes last, float32 without gaps on the CPU, numbers at hand, nobody watching.

A small call is mostly the way to the kernel. Which of the two ways it goes is asked once; the other one serves every
layout, device and transform, and says what is wrong with an argument. Draws of few numbers have a twin of their own at
its end.
"""

from __future__ import annotations

import functools
from importlib import import_module
from typing import Any

import torch
from torch import Tensor

from drawgrad.functional._seeds import draw_number
from drawgrad.kernels.state import home_of, keeps_memory, wants_derivative

__all__ = ["few", "is_few", "is_few_rows", "numbers_at_hand"]

END = 2**63
FEW, FEW_ROWS = 1 << 12, 24
"""Numbers, and rows, up to which torch's sigmoid or softmax, thrown away for its node, is faster than a Function."""


def numbers_at_hand(
    logits: Any, tau: Any, generator: Any, seed: Any, row_offset: Any, class_offset: Any, mask: Any = None
) -> tuple[float, int] | None:
    """Temperature and seed of an ordinary call, of arguments that nobody has checked; None if it is no such call."""
    if (
        not isinstance(logits, Tensor)
        or home_of(logits, tau, seed, mask) != "cpu"
        or logits.dtype is not torch.float32
        or not logits.dim()
        or not logits.is_contiguous()
        or type(row_offset) is not int
        or type(class_offset) is not int
        or row_offset
        or class_offset
    ):
        return None
    kind = type(tau)
    if kind is float or kind is int:
        if not 1e-30 < tau < 1e30:
            return None
        number = float(tau)
    elif kind is Tensor and not tau.dim() and tau.is_floating_point() and not wants_derivative(tau):
        number = tau.item()
    else:
        return None
    if seed is None:
        if generator is None or (type(generator) is torch.Generator and generator.device.type == "cpu"):
            return number, draw_number(generator)
    elif generator is None:
        kind = type(seed)
        if kind is int and -END <= seed < END:
            return number, seed
        if kind is Tensor and not seed.dim() and seed.dtype is torch.int64:
            return number, seed.item()
    return None


def is_few(logits: Tensor) -> bool:
    """Whether :func:`few` has the draw of an ordinary call."""
    # A node whose tensors are packed away when it is made would keep them as they are before the draw.
    return 0 < logits.numel() <= FEW and keeps_memory()


def is_few_rows(logits: Tensor) -> bool:
    """:func:`is_few`, where torch's function goes row by row."""
    return is_few(logits) and logits.numel() <= FEW_ROWS * logits.shape[-1]


@functools.cache
def few() -> Any:
    """The draws of few numbers, imported by the first call."""
    return import_module("drawgrad.kernels.cpu.few")
