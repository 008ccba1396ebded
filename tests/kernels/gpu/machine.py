"""Where the kernels run in this process: on a CUDA device, or in Triton's interpreter.

Triton decides when it is imported, so the interpreter needs a process of its own: ``test_interpreter.py`` starts it. In
the main process the tests of this folder are marked ``gpu``, and skipped where there is no CUDA device.
"""

from __future__ import annotations

import os

import pytest
import torch
from torch import Tensor

__all__ = ["DEVICE", "EPS", "INTERPRETED", "marks", "narrowed", "noise_ulps", "random_logits", "seeds"]

INTERPRETED = os.environ.get("TRITON_INTERPRET") == "1"
DEVICE = torch.device("cpu" if INTERPRETED else "cuda")
EPS = torch.finfo(torch.float32).eps

marks: list[pytest.MarkDecorator] = [] if INTERPRETED else [pytest.mark.gpu]
"""``pytestmark`` of every module that runs kernels."""


def seeds(groups: int) -> Tensor:
    """One seed a group, with high words and with signs."""
    return torch.tensor([(-1) ** g * (0x1234_5678_9ABC_DEF0 - 77 * g) for g in range(groups)], dtype=torch.int64)


def random_logits(*shape: int, dtype: torch.dtype = torch.float32) -> Tensor:
    """Logits of a few units, the same in every run."""
    return (3 * torch.randn(shape, generator=torch.Generator().manual_seed(1))).to(dtype)


def noise_ulps(noise: Tensor, expected: Tensor) -> float:
    """Largest distance in units in the last place of the expected value, or of one where that is smaller.

    Noise near zero is a logarithm of a float near one, which is itself a multiple of the unit of one half.
    """
    unit = EPS * torch.exp2(expected.double().abs().clamp_min(1.0).log2().floor())
    return float(((noise.double() - expected.double()).abs() / unit).max())


def narrowed(wide: Tensor, dtype: torch.dtype) -> Tensor:
    """What a kernel stores of float32 numbers: rounded, except that the interpreter truncates to bfloat16."""
    if INTERPRETED and dtype == torch.bfloat16:
        wide = (wide.view(torch.int32) & -0x10000).view(torch.float32)
    return wide.to(dtype)
