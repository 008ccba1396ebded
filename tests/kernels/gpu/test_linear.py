"""The fused winner of a linear layer against the reference, which computes the logits in blocks."""

from __future__ import annotations

from unittest import mock

import pytest
import torch
from torch import Tensor

from drawgrad.kernels import gpu
from drawgrad.kernels.gpu import linear
from drawgrad.kernels.linear import in_blocks
from tests.kernels.gpu.machine import DEVICE, EPS, INTERPRETED, marks, random_logits, seeds

pytestmark = marks

# The interpreter multiplies the bits of bfloat16 as if they were integers.
FLOATS = [torch.float32, torch.float16] if INTERPRETED else [torch.float32, torch.float16, torch.bfloat16]


def _layer(rows: int, features: int, classes: int, dtype: torch.dtype) -> tuple[Tensor, Tensor, Tensor]:
    hidden, weight = random_logits(rows, features, dtype=dtype), random_logits(classes, features, dtype=dtype)
    return hidden, weight / features, random_logits(classes, dtype=dtype)


@pytest.mark.parametrize("dtype", FLOATS, ids=str)
@pytest.mark.parametrize(
    ("rows", "features", "classes", "row_offset", "class_offset"),
    [(1, 1, 1, 0, 0), (3, 40, 300, 2**32 - 2, 5), (17, 70, 127, 0, 8)],
)
@pytest.mark.parametrize("options", ["plain", "bias", "tau of rows"])
def test_winners_and_scores_are_those_of_the_reference(
    rows: int, features: int, classes: int, row_offset: int, class_offset: int, options: str, dtype: torch.dtype
) -> None:
    hidden, weight, bias = _layer(rows, features, classes, dtype)
    some_bias = bias if options == "bias" else None
    tau = torch.linspace(0.4, 2.0, rows)[:, None] if options == "tau of rows" else torch.tensor(0.7)
    score, index = in_blocks(hidden, weight, some_bias, tau, seeds(1)[0], row_offset, class_offset)
    with mock.patch.object(linear, "PROGRAMS", 2):
        of_kernel = gpu.linear_winner(
            hidden.to(DEVICE),
            weight.to(DEVICE),
            None if some_bias is None else some_bias.to(DEVICE),
            tau.to(DEVICE),
            seeds(1)[0].to(DEVICE),
            row_offset,
            class_offset,
        )
    # Products of numbers of about 3, divided by the temperature, and the noise of about 5.
    precision = 8 * EPS * (features + 40) / 0.4
    torch.testing.assert_close(of_kernel[0].cpu(), score, rtol=0, atol=precision)
    assert int((of_kernel[1].cpu() != index).sum()) == 0


def test_nothing_allowed_and_nan() -> None:
    hidden, weight, bias = (tensor.to(DEVICE) for tensor in _layer(3, 8, 200, torch.float32))
    tau, seed = torch.tensor(1.0, device=DEVICE), seeds(1)[0].to(DEVICE)
    hidden[1] = torch.nan
    score, index = gpu.linear_winner(hidden, weight, bias, tau, seed, 0, 0)
    assert (bool(score[1].isnan()), int(index[1])) == (True, 0)
    assert bool(score[::2].isfinite().all())
    score, index = gpu.linear_winner(hidden[::2], weight, torch.full_like(bias, -torch.inf), tau, seed, 0, 0)
    assert (score.tolist(), index.tolist()) == ([-torch.inf] * 2, [-1] * 2)


def test_empty_and_float64_are_left_to_the_reference() -> None:
    tau, seed = torch.tensor(1.0, device=DEVICE), seeds(1)[0].to(DEVICE)
    for shapes in (((0, 3), (4, 3)), ((2, 0), (4, 0)), ((2, 3), (0, 3))):
        hidden, weight = (torch.zeros(shape, device=DEVICE) for shape in shapes)
        score, index = gpu.linear_winner(hidden, weight, None, tau, seed, 0, 0)
        assert score.shape == index.shape == hidden.shape[:1]
    hidden, weight, _ = (tensor.double().to(DEVICE) for tensor in _layer(3, 8, 20, torch.float32))
    assert gpu.linear_winner(hidden, weight, None, tau.double(), seed, 0, 0)[0].dtype == torch.float64
