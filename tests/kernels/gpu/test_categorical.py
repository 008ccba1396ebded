"""The categorical kernels against the reference twin: samples, gradients and winners, at every size and edge."""

from __future__ import annotations

import math
from contextlib import AbstractContextManager
from unittest import mock

import pytest
import torch
from torch import Tensor

from drawgrad.kernels import gpu, reference
from drawgrad.kernels.gpu import categorical
from tests.kernels.gpu.machine import DEVICE, EPS, marks, random_logits, seeds

pytestmark = marks

SHAPES = [(1, 3, 1), (1, 5, 2), (2, 3, 5), (1, 1, 33), (3, 2, 16), (1, 2, 1000)]
"""Groups, rows, classes of rows that are whole."""
SPLIT = [(1, 1, 300), (2, 1, 129)]
"""The same for rows that are split into parts of 128 classes."""
PARTS = {"WHOLE": 128, "PART": 128}
PLACES = [(0, 0, torch.float32), (2**32 - 1, 7, torch.float32), (0, 0, torch.bfloat16), (5, 2, torch.float16)]
"""Numbers of the first row and the first class, and dtypes."""
LARGEST_NOISE = 22.9


def sizes(shape: tuple[int, int, int]) -> AbstractContextManager[object]:
    """Programs of whole rows or of parts of rows, for shapes that are small enough for the interpreter."""
    changed = PARTS if shape in SPLIT else {"FEW_ROWS": 0}
    return mock.patch.multiple(categorical, **changed)


def on_device(*tensors: Tensor) -> tuple[Tensor, ...]:
    return tuple(tensor.to(DEVICE) for tensor in tensors)


def spread(logits: Tensor, tau: float) -> float:
    """Relative error of a relaxed sample: two scores are off by 2 units of the noise and one of the sum, over tau."""
    finite = logits[logits.isfinite()].float()
    largest = LARGEST_NOISE + (float(finite.abs().max()) if finite.numel() else 0.0)
    return math.expm1(min(2 * 3 * EPS * largest / tau, 10.0)) + 16 * EPS


def assert_within(actual: Tensor, expected: Tensor, bound: Tensor) -> None:
    """Check entries against a bound to which the rounding of the result is added."""
    precision = torch.finfo(expected.dtype)
    smallest = max(precision.tiny * precision.eps, torch.finfo(torch.float32).tiny)
    actual, expected = actual.cpu().double(), expected.double()
    assert torch.equal(actual.isnan(), expected.isnan())
    excess = (actual - expected).abs() - bound.double() - precision.eps * expected.abs() - smallest
    assert not bool((excess > 0).any()), f"off by {float((actual - expected).abs().nan_to_num().max())}"


@pytest.mark.parametrize(("row_offset", "class_offset", "dtype"), PLACES)
@pytest.mark.parametrize("shape", SHAPES + SPLIT, ids=str)
def test_samples_and_gradients_are_those_of_the_reference(
    shape: tuple[int, int, int], row_offset: int, class_offset: int, dtype: torch.dtype
) -> None:
    logits, grad = random_logits(*shape, dtype=dtype), random_logits(*shape, dtype=dtype).flip(-1)
    logits[..., ::3] = torch.where(torch.arange(shape[1])[:, None] % 2 == 0, logits[..., ::3], -torch.inf)
    tau, draw = torch.tensor(0.7), (seeds(shape[0]), row_offset, class_offset)
    sample = reference.gumbel_softmax(logits, tau, *draw, False)
    error = spread(logits, 0.7)
    of_gradient = 4 * error * sample.float() * grad.float().abs().max() / 0.7
    with sizes(shape):
        device = on_device(logits, tau, draw[0])
        place = draw[1:]
        assert_within(gpu.gumbel_softmax(*device, *place, False), sample, error * sample.float())
        hard = gpu.gumbel_softmax(*device, *place, True)
        assert torch.equal(hard.cpu(), reference.gumbel_softmax(logits, tau, *draw, True))
        assert torch.equal(gpu.gumbel_max(device[0], device[2], *place).cpu(), reference.gumbel_max(logits, *draw))
        redrawn = gpu.gumbel_softmax_vjp(*on_device(grad), *device, *place)
        assert_within(redrawn, reference.gumbel_softmax_vjp(grad, logits, tau, *draw), of_gradient)
        kept = gpu.softmax_vjp(*on_device(grad, sample, tau))
        assert_within(kept, reference.softmax_vjp(grad, sample, tau), of_gradient)
        assert bool((kept.cpu()[logits == -torch.inf] == 0).all())


@pytest.mark.parametrize("shape", [(2, 3, 5), (2, 2, 129)], ids=str)
@pytest.mark.parametrize("tau", [1e-6, 1e3, "rows"])
def test_temperatures(shape: tuple[int, int, int], tau: float | str) -> None:
    logits, grad = random_logits(*shape), random_logits(*shape).flip(-1)
    if tau == "rows":
        taus = torch.linspace(0.2, 3.0, shape[0] * shape[1]).view(shape[0], shape[1], 1)
    else:
        taus = torch.tensor(tau)
    draw = (seeds(shape[0]), 0, 0)
    error = spread(logits, float(taus.min()))
    sample = reference.gumbel_softmax(logits, taus, *draw, False)
    of_gradient = 4 * error * sample * grad.abs().max() / taus
    with mock.patch.multiple(categorical, **PARTS):
        device = on_device(logits, taus, draw[0])
        assert_within(gpu.gumbel_softmax(*device, 0, 0, False), sample, error * sample)
        assert_within(
            gpu.gumbel_softmax_vjp(*on_device(grad), *device, 0, 0),
            reference.gumbel_softmax_vjp(grad, logits, taus, *draw),
            of_gradient,
        )
        assert_within(
            gpu.softmax_vjp(*on_device(grad, sample, taus)), reference.softmax_vjp(grad, sample, taus), of_gradient
        )


NAN, INF = math.nan, math.inf
EDGES = {
    "nothing allowed": [-INF, -INF, -INF, -INF, -INF],
    "one allowed": [-INF, -INF, 0.0, -INF, -INF],
    "a NaN": [0.0, NAN, 1.0, 2.0, 3.0],
    "two NaN and nothing else allowed": [-INF, -INF, NAN, -INF, NAN],
    "infinite": [0.0, 1.0, INF, 2.0, INF],
    "infinite and a NaN": [INF, 1.0, NAN, -INF, INF],
    "large": [1e4, -1e4, 1e4 - 30, 0.0, -INF],
    "largest": [3e38, -3e38, 0.0, 1.0, 3e38],
}


@pytest.mark.parametrize("name", EDGES)
@pytest.mark.parametrize("far", [0, 125], ids=["whole", "parts"])
def test_edges(name: str, far: int) -> None:
    # In long rows the edge is in the last part, and nothing else is allowed.
    row = torch.tensor([-INF] * far + EDGES[name])
    logits = torch.stack([torch.zeros_like(row), row, torch.zeros_like(row)])[None]
    grad = torch.full_like(logits, INF).masked_fill(logits != -INF, 2.0)
    tau, draw = torch.tensor(0.5), (seeds(1), 0, 0)
    with mock.patch.multiple(categorical, **PARTS):
        device = on_device(logits, tau, draw[0])
        for hard in (False, True):
            expected = reference.gumbel_softmax(logits, tau, *draw, hard)
            assert_within(gpu.gumbel_softmax(*device, 0, 0, hard), expected, spread(torch.zeros(1), 0.5) * expected)
        assert torch.equal(gpu.gumbel_max(device[0], device[2], 0, 0).cpu(), reference.gumbel_max(logits, *draw))
        expected = reference.gumbel_softmax_vjp(grad, logits, tau, *draw)
        assert_within(gpu.gumbel_softmax_vjp(*on_device(grad), *device, 0, 0), expected, torch.tensor(1e-4))
        sample = reference.gumbel_softmax(logits, tau, *draw, False)
        expected = reference.softmax_vjp(grad, sample, tau)
        assert_within(gpu.softmax_vjp(*on_device(grad, sample, tau)), expected, torch.tensor(1e-4))


def test_the_lowest_of_equal_scores_wins() -> None:
    # Scores of this size absorb the noise.
    logits = torch.full((1, 1, 200), -1e30)
    logits[..., [70, 71, 199]] = 1e30
    with mock.patch.multiple(categorical, **PARTS):
        assert gpu.gumbel_max(*on_device(logits, seeds(1)), 0, 0).item() == 70


@pytest.mark.parametrize(("groups", "rows", "classes"), [(1, 0, 5), (1, 3, 0), (0, 3, 5)])
def test_empty(groups: int, rows: int, classes: int) -> None:
    logits, tau, seed = on_device(torch.empty(groups, rows, classes), torch.tensor(1.0), seeds(groups))
    assert gpu.gumbel_softmax(logits, tau, seed, 0, 0, False).shape == logits.shape
    assert gpu.gumbel_softmax(logits, tau, seed, 0, 0, True).shape == logits.shape
    assert gpu.softmax_vjp(logits, logits, tau).shape == logits.shape
    assert gpu.gumbel_softmax_vjp(logits, logits, tau, seed, 0, 0).shape == logits.shape
    assert gpu.gumbel_max(logits, seed, 0, 0).tolist() == [[-1] * rows] * groups


def test_strided_and_expanded_input() -> None:
    logits = random_logits(5, 3, 1).transpose(0, 2)
    device, seed, tau = logits.to(DEVICE), seeds(1).to(DEVICE), torch.tensor(1.0, device=DEVICE)
    assert not device.is_contiguous()
    plain = gpu.gumbel_softmax(device.contiguous(), tau, seed, 0, 0, False)
    assert torch.equal(gpu.gumbel_softmax(device, tau, seed, 0, 0, False), plain)
    grad = torch.ones((), device=DEVICE).expand(1, 3, 5)
    taus = tau.expand(1, 3, 1)
    assert torch.equal(gpu.softmax_vjp(grad, plain, taus), gpu.softmax_vjp(grad.contiguous(), plain, tau))
    groups, repeated = device.expand(4, 3, 5), seed.expand(4)
    assert torch.equal(gpu.gumbel_softmax(groups, tau, repeated, 0, 0, False), plain.expand(4, 3, 5))
