"""I-MLE and AIMLE against the exact law of their own subsets, by quadrature over the noise."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from drawgrad.distributions import KSubset
from drawgrad.estimators import AdaptiveStep, Aimle, Estimator, PerturbAndMap
from drawgrad.functional import perturb_and_map
from tests.statistics import assert_mean

TERMS = 10
"""Of the sum that makes the noise."""
GRID = np.linspace(-10.0, 22.0, 1601)
LOGITS = torch.tensor([0.8, -0.5, 0.3], dtype=torch.float64)
WEIGHT = torch.tensor([1.0, -2.0, 0.5], dtype=torch.float64)
DRAWS = 200_000


@cache
def density(k: int) -> NDArray[np.float64]:
    """Of one number of the noise, sum_i Gamma(1/k) / i - log(s) / k, by inversion of its characteristic function."""
    t = np.arange(0.02, 120.0, 0.04)
    orders = np.arange(1, TERMS + 1)[:, None]
    log_phi = (-np.log(1 - 1j * t / orders) / k).sum(0) - 1j * t * np.log(TERMS) / k
    found = [np.real(np.exp(log_phi - 1j * t * x)).sum() * 0.04 / np.pi for x in GRID]
    return np.maximum(np.array(found), 0.0)


def marginals(logits: Tensor, k: int) -> Tensor:
    """How surely each of three classes is among the k largest."""
    step = GRID[1] - GRID[0]
    f = density(k)
    below = np.concatenate([[0.0], np.cumsum((f[1:] + f[:-1]) / 2 * step)])
    own = [np.interp(GRID - shift, GRID, f, left=0.0, right=0.0) for shift in logits.tolist()]
    lower = [np.interp(GRID - shift, GRID, below, left=0.0, right=1.0) for shift in logits.tolist()]
    found = []
    for i in range(3):
        rest = [j for j in range(3) if j != i]
        # Of two that are taken, the smallest one is left out.
        others = np.prod([lower[j] if k == 1 else 1 - lower[j] for j in rest], axis=0)
        extreme = float((own[i] * others).sum() * step)
        found.append(extreme if k == 1 else 1 - extreme)
    return torch.tensor(found, dtype=torch.float64)


def gradients(estimator: Estimator, k: int) -> tuple[Tensor, Tensor]:
    logits = LOGITS.expand(DRAWS, 3).clone().requires_grad_()
    loss = estimator(lambda z: z @ WEIGHT, KSubset(logits, k), seed=1)
    return loss.detach(), torch.autograd.grad(loss.sum(), logits)[0]


def test_the_law_of_one_class_is_in_closed_form() -> None:
    """For k = 1 the noise is the largest of ten exponential numbers, so its distribution function is known."""
    grid = torch.from_numpy(GRID)
    exact = (1 - torch.exp(-grid) / TERMS).clamp_min(0) ** TERMS
    found = torch.from_numpy(np.cumsum(density(1)) * (GRID[1] - GRID[0]))
    assert (found - exact).abs().max() < 5e-3


@pytest.mark.parametrize("k", [1, 2])
class TestPerturbAndMap:
    def test_has_the_value_of_its_own_law(self, k: int) -> None:
        value, _ = gradients(PerturbAndMap(), k)
        assert_mean(value, float(marginals(LOGITS, k) @ WEIGHT), resolution=0.02)

    @pytest.mark.parametrize("step", [0.5, 3.0])
    @pytest.mark.parametrize("symmetric", [False, True])
    def test_has_the_gradient_of_a_finite_difference(self, k: int, step: float, symmetric: bool) -> None:
        _, found = gradients(PerturbAndMap(step=step, symmetric=symmetric), k)
        above = marginals(LOGITS + step * WEIGHT, k) if symmetric else marginals(LOGITS, k)
        expected = (above - marginals(LOGITS - step * WEIGHT, k)) / (2 * step if symmetric else step)
        assert_mean(found, expected, resolution=0.05)
        other = (marginals(LOGITS, k) - marginals(LOGITS + step * WEIGHT, k)) / step
        with pytest.raises(AssertionError, match="the mean of entry"):
            assert_mean(found, other, resolution=0.05)

    def test_of_a_temperature_is_that_of_logits_and_step_divided_by_it(self, k: int) -> None:
        _, found = gradients(PerturbAndMap(step=1.0, tau=0.5), k)
        expected = marginals(LOGITS / 0.5, k) - marginals((LOGITS - WEIGHT) / 0.5, k)
        assert_mean(found, expected, resolution=0.05)


def test_aimle_has_the_gradient_of_its_step() -> None:
    estimator = Aimle(AdaptiveStep(alpha=0.7)).eval()
    _, found = gradients(estimator, 2)
    step = float(0.7 * LOGITS.norm() / WEIGHT.norm())
    expected = (marginals(LOGITS + step * WEIGHT, 2) - marginals(LOGITS - step * WEIGHT, 2)) / (2 * step)
    assert_mean(found, expected, resolution=0.05)


class TestRowsThatAreOff:
    """One row that is NaN, or has a class that is masked, leaves the others as they are."""

    LOGITS = torch.tensor([[0.5, 0.0, -0.5, 1.0], [0.1, 0.4, 0.0, -1.0]], dtype=torch.float64)

    def gradient(self, logits: Tensor, step: float | AdaptiveStep) -> Tensor:
        leaf = logits.clone().requires_grad_()

        def solve(theta: Tensor) -> Tensor:
            best = torch.zeros_like(theta).scatter(-1, theta.nan_to_num(0.0).topk(2, -1)[1], 1.0)
            return torch.where(theta.isnan().any(-1, keepdim=True), torch.nan, best)

        z = perturb_and_map(leaf, solve, step=step, seed=0)
        return torch.autograd.grad((z * torch.tensor([3.0, -3.0, 2.0, 1.0])).sum(), leaf)[0]

    @pytest.mark.parametrize("value", [torch.nan, -torch.inf])
    def test_with_a_fixed_step(self, value: float) -> None:
        expected = self.gradient(self.LOGITS, 2.0)
        logits = self.LOGITS.clone()
        logits[0, 1] = value
        torch.testing.assert_close(self.gradient(logits, 2.0)[1], expected[1])

    @pytest.mark.parametrize("value", [torch.nan, -torch.inf])
    def test_with_an_adaptive_one(self, value: float) -> None:
        rule = AdaptiveStep(alpha=2.0)
        logits = self.LOGITS.clone()
        logits[0, 1] = value
        found = self.gradient(logits, rule)
        assert bool(found[1].isfinite().all())
        assert bool((found[1] != 0).any())
        assert rule.alpha.isfinite()
        assert rule.moved.isfinite()

    def test_a_masked_class_is_never_taken(self) -> None:
        logits = torch.tensor([[0.5, -torch.inf, -0.5, 1.0]]).expand(500, 4).clone().requires_grad_()
        seen = []

        def cost(z: Tensor) -> Tensor:
            seen.append(z)
            return z @ torch.tensor([1.0, -5.0, 2.0, 1.0])

        loss = Aimle(AdaptiveStep(alpha=1.0))(cost, KSubset(logits, 2, validate_args=False), seed=0)
        (found,) = torch.autograd.grad(loss.sum(), logits)
        assert bool((seen[0][..., 1] == 0).all())
        assert bool((found[:, 1] == 0).all())
        assert bool(found.isfinite().all())
        assert bool((found != 0).any())


def test_the_noise_has_the_mean_and_variance_of_its_sum() -> None:
    """What the density above was made of: cumulants of the terms, added."""
    orders = np.arange(1, TERMS + 1)
    for k in (1, 2):
        step = GRID[1] - GRID[0]
        mean = (GRID * density(k)).sum() * step
        assert mean == pytest.approx(((1 / orders).sum() - np.log(TERMS)) / k, abs=2e-3)
        variance = ((GRID - mean) ** 2 * density(k)).sum() * step
        assert variance == pytest.approx((1 / orders**2).sum() / k, abs=1e-2)
