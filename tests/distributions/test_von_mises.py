"""Angles with a gradient, against quadrature and SciPy."""

from __future__ import annotations

import pytest
import torch
from scipy import special, stats

from drawgrad.distributions import VonMises
from drawgrad.distributions.von_mises import _slope
from drawgrad.estimators import Pathwise
from tests.statistics import assert_distribution, assert_mean


@pytest.mark.parametrize("kappa", [1e-4, 0.3, 2.0, 30.0, 1e4, 1e7])
def test_the_slope_is_that_of_the_quantile(kappa: float) -> None:
    """x(kappa) with F(x; kappa) held fixed, by differences of SciPy's quantiles."""
    law = stats.vonmises if kappa < 1e3 else None
    width = min(1.0, 1 / kappa**0.5)
    x = torch.tensor([-2.5, -1.0, -0.3, 0.2, 1.7, 3.0], dtype=torch.float64) * width
    found = _slope(x, torch.full_like(x, kappa))
    if law is None:
        # Nearly normal with variance 1 / kappa: x = z / sqrt(kappa), up to a part of the order 1 / kappa.
        torch.testing.assert_close(found, -x / (2 * kappa), rtol=20 / kappa, atol=0.0)
        return
    u = law.cdf(x.numpy(), kappa)
    step = 1e-4 * kappa
    expected = (law.ppf(u, kappa + step) - law.ppf(u, kappa - step)) / (2 * step)
    torch.testing.assert_close(found, torch.from_numpy(expected), rtol=2e-4, atol=1e-7)


def test_samples_follow_the_law_and_the_seed() -> None:
    loc, kappa = torch.tensor(2.5, dtype=torch.float64), torch.tensor(1.3, dtype=torch.float64)
    q = VonMises(loc, kappa)
    x = q.rsample((60_000,), seed=1)
    assert torch.equal(x, q.sample((60_000,), seed=torch.tensor(1)))
    assert bool(((x >= -torch.pi) & (x <= torch.pi)).all())
    apart = torch.remainder(x - loc + torch.pi, 2 * torch.pi) - torch.pi
    assert_distribution(apart, stats.vonmises(1.3).cdf, resolution=0.02)
    with pytest.raises(AssertionError, match="off by"):
        assert_distribution(apart, stats.vonmises(1.0).cdf, resolution=0.02)


def test_gradients_are_those_of_the_expectation() -> None:
    """E[cos(x - m)] = A(kappa) cos(loc - m) in closed form, for both parameters."""
    draws, m = 50_000, 0.7
    loc, kappa = (torch.full((draws,), v, dtype=torch.float64, requires_grad=True) for v in (0.4, 1.8))
    x = VonMises(loc, kappa).rsample(seed=2)
    found = torch.autograd.grad((x - m).cos().sum(), (loc, kappa))
    a = special.i1e(1.8) / special.i0e(1.8)
    slope = 1 - a**2 - a / 1.8
    angle = torch.tensor(0.4 - m, dtype=torch.float64)
    assert_mean(found[0], -a * angle.sin(), resolution=0.02)
    assert_mean(found[1], slope * angle.cos(), resolution=0.02)
    with pytest.raises(AssertionError, match="the mean of entry"):
        assert_mean(found[1], 0.5 * slope * angle.cos(), resolution=0.02)


def test_is_torch_s_distribution_but_for_its_samples() -> None:
    loc, kappa = torch.zeros(3, requires_grad=True), torch.tensor([0.5, 1.0, 20.0], requires_grad=True)
    q, theirs = VonMises(loc, kappa), torch.distributions.VonMises(loc, kappa)
    x = q.rsample((5,), seed=1)
    torch.testing.assert_close(q.log_prob(x), theirs.log_prob(x))
    wide = q.expand((2, 3))
    assert type(wide) is VonMises
    assert wide.rsample(seed=1).shape == (2, 3)
    grads = torch.autograd.grad(
        Pathwise(samples=8)(lambda z: z.cos().sum(-1), torch.distributions.Independent(q, 1)), (loc, kappa)
    )
    assert all(bool(g.isfinite().all() and (g != 0).any()) for g in grads)
    assert not q.sample((2,)).requires_grad
