"""Binary samples through the public function."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from drawgrad.functional import binary_concrete, logistic_noise
from tests.statistics import assert_mean

LOGITS = torch.tensor([-4.0, -1.0, 0.0, 0.5, 3.0])


def test_hard_samples_are_bernoulli() -> None:
    bits = binary_concrete(LOGITS.expand(200_000, 5), hard=True, seed=1)
    assert set(bits.unique().tolist()) == {0.0, 1.0}
    assert_mean(bits.double(), LOGITS.double().sigmoid(), resolution=0.01)
    with pytest.raises(AssertionError):
        assert_mean(bits.double(), LOGITS.double().sigmoid() + 0.02, resolution=0.01)


@pytest.mark.parametrize("tau", [1e-6, 0.3, 1e3])
def test_soft_samples_are_the_sigmoid_of_perturbed_logits(tau: float) -> None:
    logits = LOGITS.expand(40, 5)
    expected = ((logits + logistic_noise((40, 5), seed=2)) / tau).sigmoid()
    torch.testing.assert_close(binary_concrete(logits, tau, seed=2), expected, rtol=2e-5, atol=1e-6)


@pytest.mark.parametrize("shape", [(), (40, 1), (1, 5), (5,), (40, 5)], ids=str)
@pytest.mark.parametrize("hard", [False, True])
def test_gradients(shape: tuple[int, ...], hard: bool) -> None:
    logits = LOGITS.double().expand(40, 5).clone().requires_grad_()
    tau = torch.linspace(0.5, 1.5, max(1, torch.Size(shape).numel()), dtype=torch.float64)
    tau = tau.reshape(shape).clone().requires_grad_()
    expected = ((logits + logistic_noise((40, 5), dtype=torch.float64, seed=2)) / tau).sigmoid()
    sample = binary_concrete(logits, tau, hard, seed=2)
    assert torch.equal(sample > 0.5, expected > 0.5)
    upstream = torch.linspace(-1, 1, 200, dtype=torch.float64).reshape(40, 5)
    torch.testing.assert_close(
        torch.autograd.grad(sample, (logits, tau), upstream), torch.autograd.grad(expected, (logits, tau), upstream)
    )


@pytest.mark.parametrize(("dtype", "rtol"), [(torch.float16, 1e-3), (torch.float32, 1e-4), (torch.float64, 1e-11)])
@pytest.mark.parametrize("scale", [1.0, 40.0, 1e4, torch.inf])
@pytest.mark.parametrize("tau", [0.05, 0.5, 1e3])
def test_the_gradient_of_tau_for_each_element(dtype: torch.dtype, rtol: float, scale: float, tau: float) -> None:
    """Of the same rounded numbers in float64; nothing where a sample is certain."""
    logits = torch.tensor([-scale, -0.5, 0.0, 0.5, scale], dtype=dtype).expand(40, 5)
    temperature = torch.full((40, 5), tau, dtype=dtype, requires_grad=True)
    upstream = torch.linspace(-1, 1, 200, dtype=torch.float64).reshape(40, 5).to(dtype)
    (found,) = torch.autograd.grad(binary_concrete(logits, temperature, seed=2), temperature, upstream)
    x = (logits.double() + logistic_noise((40, 5), dtype=torch.float64, seed=2)) / temperature.detach().double()
    slope = -x / temperature.detach().double() * x.sigmoid() * (-x).sigmoid()
    expected = torch.where(x.isinf(), 0.0, slope * upstream.double())
    # A part of the largest slope there is, 0.224 / tau, and half of the smallest number of the dtype.
    atol = rtol * 0.224 / tau + torch.finfo(dtype).tiny * torch.finfo(dtype).eps / 2
    torch.testing.assert_close(found.double(), expected, rtol=rtol, atol=atol)
    with pytest.raises(AssertionError):
        torch.testing.assert_close(found.double(), expected.flip(0), rtol=rtol, atol=atol)


def test_second_order() -> None:
    logits = LOGITS.double().requires_grad_()
    assert torch.autograd.gradgradcheck(lambda x: binary_concrete(x, 0.7, seed=1), (logits,))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_dtypes(dtype: torch.dtype) -> None:
    sample = binary_concrete(LOGITS.to(dtype), seed=1)
    assert sample.dtype == dtype
    torch.testing.assert_close(sample.double(), binary_concrete(LOGITS.double(), seed=1), rtol=1e-2, atol=1e-3)


@pytest.mark.parametrize("shape", [(), (0,), (3, 0), (1,), (2, 3, 4)])
def test_shapes(shape: tuple[int, ...]) -> None:
    assert binary_concrete(torch.zeros(shape), seed=1).shape == shape


def test_parts() -> None:
    logits = LOGITS.expand(6, 5)
    whole = binary_concrete(logits, seed=3)
    assert torch.equal(binary_concrete(logits[2:, 1:], seed=3, row_offset=2, class_offset=1), whole[2:, 1:])


def test_certain_and_undefined_logits() -> None:
    logits = torch.tensor([-torch.inf, torch.inf, torch.nan, 0.0], requires_grad=True)
    for hard in (False, True):
        sample = binary_concrete(logits, 0.5, hard, seed=1)
        assert sample[:2].tolist() == [0.0, 1.0]
        assert sample.isnan().tolist() == [False, False, True, False]
        (gradient,) = torch.autograd.grad(sample, logits, torch.ones(4))
        assert gradient[:2].tolist() == [0.0, 0.0]
        assert gradient[3].isfinite()


@pytest.mark.parametrize("tau", [0.0, -1.0, float("nan")])
def test_temperatures_that_are_none(tau: float) -> None:
    with pytest.raises(ValueError, match="tau must be positive and finite"):
        binary_concrete(LOGITS, tau)


def test_mapped() -> None:
    logits: Tensor = LOGITS.expand(3, 4, 5)
    mapped = torch.vmap(lambda x: binary_concrete(x, seed=5))(logits)
    assert torch.equal(mapped, torch.stack([binary_concrete(x, seed=5) for x in logits]))
