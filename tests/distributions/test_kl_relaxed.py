"""Divergences of logistic and relaxed distributions, against quadrature and against estimates."""

from __future__ import annotations

import pytest
import torch
from scipy import integrate
from torch import Tensor
from torch.distributions import Laplace, Normal, kl_divergence

from drawgrad.distributions import (
    ApproximateDivergence,
    ExpRelaxedCategorical,
    Logistic,
    LogitRelaxedBernoulli,
    RelaxedBernoulli,
    RelaxedOneHotCategorical,
    monte_carlo_kl,
)
from tests.statistics import assert_mean

GENERATOR = torch.Generator().manual_seed(1)
P, Q = (torch.randn(4, generator=GENERATOR, dtype=torch.float64) for _ in range(2))


def double(*values: float) -> Tensor:
    return torch.tensor(values, dtype=torch.float64)


def test_of_logistic_variables_is_the_integral() -> None:
    distances = double(0.0, 1e-3, 0.06, 0.5, -3.0, 20.0)
    p, q = Logistic(distances, double(0.7)), Logistic(double(0.0), double(0.7))
    found = kl_divergence(p, q)
    for number, distance in enumerate(distances):
        one = Logistic(distance, double(0.7)[0])

        def inside(x: float, one: Logistic = one) -> float:
            at = torch.tensor(x, dtype=torch.float64)
            log_p = one.log_prob(at)
            return float(log_p.exp() * (log_p - Logistic(double(0.0)[0], double(0.7)[0]).log_prob(at)))

        expected = integrate.quad(inside, float(distance) - 40, float(distance) + 40, epsabs=1e-12, limit=200)[0]
        assert found[number].item() == pytest.approx(expected, rel=1e-6, abs=1e-10)
    leaf = distances.clone().requires_grad_()
    assert torch.autograd.gradcheck(lambda x: kl_divergence(Logistic(x, double(0.7)), q), leaf)


@pytest.mark.parametrize(
    "kind", [LogitRelaxedBernoulli, RelaxedBernoulli, ExpRelaxedCategorical, RelaxedOneHotCategorical]
)
def test_of_one_temperature_is_the_mean_of_the_difference(kind: type) -> None:
    for tau in (0.4, 2.0):
        leaf = P.clone().requires_grad_()
        p, q = kind(double(tau)[0], logits=leaf), kind(double(tau)[0], logits=Q)
        x = p.sample((40_000,), seed=1)
        difference = (p.log_prob(x) - q.log_prob(x)).detach()
        found = kl_divergence(p, q)
        assert_mean(difference, found.detach(), resolution=0.05, magnitude=10.0)
        with pytest.raises(AssertionError, match="the mean of entry"):
            assert_mean(difference, 1.5 * found.detach() + 0.1, resolution=0.05, magnitude=10.0)
        assert torch.autograd.gradcheck(lambda x, tau=tau, q=q: kl_divergence(kind(double(tau)[0], logits=x), q), leaf)
        torch.testing.assert_close(kl_divergence(p, p), torch.zeros_like(found), atol=1e-10, rtol=0.0)


def test_of_two_classes_is_that_of_their_difference() -> None:
    p, q = (ExpRelaxedCategorical(0.5, logits=torch.stack([x, torch.zeros_like(x)], -1)) for x in (P, Q))
    ours, theirs = (LogitRelaxedBernoulli(0.5, logits=x) for x in (P, Q))
    torch.testing.assert_close(kl_divergence(p, q), kl_divergence(ours, theirs))


def test_many_classes_far_apart_and_impossible_ones() -> None:
    logits = torch.linspace(-30, 30, 300, dtype=torch.float64)
    p, q = (RelaxedOneHotCategorical(0.5, logits=x) for x in (logits, logits.flip(0)))
    found = kl_divergence(p, q)
    x = p.sample((4000,), seed=1)
    difference = p.log_prob(x) - q.log_prob(x)
    allowed = difference[difference.isfinite()]
    assert_mean(allowed, found, resolution=0.2 * allowed.std().item(), magnitude=10.0)
    some = torch.tensor([0.0, 1.0, -torch.inf])
    same, other = RelaxedOneHotCategorical(0.5, logits=some), RelaxedOneHotCategorical(0.5, logits=torch.zeros(3))
    leaf = some.clone().requires_grad_()
    value = kl_divergence(RelaxedOneHotCategorical(0.5, logits=leaf), RelaxedOneHotCategorical(0.5, logits=2 * some))
    assert bool(value.isfinite())
    assert bool(torch.autograd.grad(value, leaf)[0].isfinite().all())
    assert kl_divergence(same, other) == torch.inf
    certain = torch.tensor([torch.inf, -torch.inf, 0.0])
    of_coins = kl_divergence(
        RelaxedBernoulli(0.5, logits=certain), RelaxedBernoulli(0.5, logits=torch.tensor([torch.inf, 0.0, 0.0]))
    )
    assert of_coins.tolist() == [0.0, torch.inf, 0.0]


def test_of_two_temperatures_is_an_estimate_that_says_so() -> None:
    p, q = Logistic(double(0.0, 1.0), double(1.0, 1.0)), Logistic(double(0.5, 0.5), double(2.0, 1.0))
    with pytest.warns(ApproximateDivergence, match="estimated from 1000 samples"):
        found = kl_divergence(p, q)
    assert found[1] == kl_divergence(Logistic(double(1.0), 1.0), Logistic(double(0.5), 1.0))[0]
    assert found[0] == pytest.approx(monte_carlo_kl(p, q, 100_000, seed=1)[0].item(), abs=0.2)


def test_estimates_have_the_right_mean_and_gradient() -> None:
    loc = torch.full((40_000,), 0.4, dtype=torch.float64, requires_grad=True)
    p, q = Normal(loc, 1.0), Normal(torch.zeros_like(loc), 2.0)
    value = monte_carlo_kl(p, q, 1, seed=3)
    exact = kl_divergence(p, q)[:1].sum()
    assert_mean(value.detach(), exact.detach(), resolution=0.05)
    (found,) = torch.autograd.grad(value.sum(), loc)
    assert_mean(found, 0.1, resolution=0.03)
    assert torch.equal(monte_carlo_kl(p, q, 2, seed=3), monte_carlo_kl(p, q, 2, seed=3))
    assert monte_carlo_kl(Normal(0.0, 1.0), Laplace(0.0, 1.0)).shape == ()
    with pytest.raises(ValueError, match="samples must be at least 1"):
        monte_carlo_kl(p, q, 0)
