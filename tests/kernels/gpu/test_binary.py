"""The binary kernels against the reference twin."""

from __future__ import annotations

import math

import pytest
import torch

from drawgrad.kernels import gpu, reference
from tests.kernels.gpu.machine import DEVICE, EPS, marks, random_logits, seeds

pytestmark = marks


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
@pytest.mark.parametrize("per_row", [False, True], ids=["one tau", "tau of rows"])
@pytest.mark.parametrize(
    ("shape", "row_offset", "class_offset"),
    [((1, 1, 1), 0, 0), ((2, 3, 5), 2**32 - 2, 1), ((1, 2, 1100), 3, 1022)],
    ids=str,
)
def test_samples_and_gradients_are_those_of_the_reference(
    shape: tuple[int, int, int], row_offset: int, class_offset: int, per_row: bool, dtype: torch.dtype
) -> None:
    logits, grad = random_logits(*shape, dtype=dtype), random_logits(*shape, dtype=dtype).flip(-1)
    logits[..., -1] = -torch.inf
    logits[..., -1, 0] = torch.inf
    tau = torch.linspace(0.4, 2.0, shape[0] * shape[1]).view(*shape[:-1], 1) if per_row else torch.tensor(0.4)
    draw = (seeds(shape[0]), row_offset, class_offset)
    device = [tensor.to(DEVICE) for tensor in (logits, tau, draw[0])]
    place = draw[1:]
    # A score is off by 2 units of its noise and one of the sum, and the slope of the sigmoid is at most 1 / (4 tau).
    score = 3 * EPS * (22.9 + 15) / 0.4
    precision = torch.finfo(dtype).eps

    soft = reference.binary_concrete(logits, tau, *draw, False)
    torch.testing.assert_close(
        gpu.binary_concrete(*device, *place, False).cpu(), soft, rtol=score + 8 * EPS + precision, atol=1e-7
    )
    hard = gpu.binary_concrete(*device, *place, True)
    assert torch.equal(hard.cpu(), reference.binary_concrete(logits, tau, *draw, True))

    redrawn = gpu.binary_concrete_vjp(grad.to(DEVICE), *device, *place).cpu()
    expected = reference.binary_concrete_vjp(grad, logits, tau, *draw)
    size = float(grad.abs().max()) / 0.4
    torch.testing.assert_close(redrawn, expected, rtol=score + precision, atol=size * (score + 8 * EPS))
    kept = gpu.sigmoid_vjp(grad.to(DEVICE), soft.to(DEVICE), device[1]).cpu()
    torch.testing.assert_close(kept, reference.sigmoid_vjp(grad, soft, tau), rtol=8 * EPS + precision, atol=1e-7)


@pytest.mark.parametrize("hard", [False, True])
def test_a_nan_stays_with_its_element(hard: bool) -> None:
    logits = torch.tensor([[[0.0, math.nan, 3e38, -3e38, 1.0]]])
    tau, seed = torch.tensor(1e-6), seeds(1)
    sample = gpu.binary_concrete(logits.to(DEVICE), tau.to(DEVICE), seed.to(DEVICE), 0, 0, hard).cpu()
    assert sample.isnan().tolist() == [[[False, True, False, False, False]]]
    torch.testing.assert_close(sample, reference.binary_concrete(logits, tau, seed, 0, 0, hard), equal_nan=True)


def test_a_gradient_is_zero_where_the_sample_is_certain() -> None:
    sample = torch.tensor([[[0.0, 1.0, 0.5]]])
    grad = torch.tensor([[[math.inf, math.nan, 2.0]]])
    gradient = gpu.sigmoid_vjp(grad.to(DEVICE), sample.to(DEVICE), torch.tensor(0.5, device=DEVICE))
    assert gradient.tolist() == [[[0.0, 0.0, 1.0]]]


def test_empty() -> None:
    empty, tau, seed = torch.empty(1, 0, 3, device=DEVICE), torch.tensor(1.0, device=DEVICE), seeds(1).to(DEVICE)
    assert gpu.binary_concrete(empty, tau, seed, 0, 0, False).shape == empty.shape
    assert gpu.binary_concrete_vjp(empty, empty, tau, seed, 0, 0).shape == empty.shape
    assert gpu.sigmoid_vjp(empty, empty, tau).shape == empty.shape
