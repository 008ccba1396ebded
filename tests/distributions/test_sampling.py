"""Any continuous distribution from a seed: reproducible, on any number of threads, and with its gradient."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor
from torch import distributions as td

from drawgrad.distributions import Logistic, MultiCategorical, rsample
from tests.statistics import assert_mean

KINDS: dict[str, Callable[[Tensor], td.Distribution]] = {
    "Normal": lambda p: td.Normal(p, 1 + p),
    "Logistic": lambda p: Logistic(p, 1 + p),
    "Laplace": lambda p: td.Laplace(p, 1 + p),
    "Exponential": td.Exponential,
    "Gumbel": lambda p: td.Gumbel(p, 1 + p),
    "Gamma": lambda p: td.Gamma(p, 1 + p),
    "Beta": lambda p: td.Beta(p, 1 + p),
    "Dirichlet": lambda p: td.Dirichlet(torch.stack([p, 1 + p, 2 * p], -1)),
    "StudentT": lambda p: td.StudentT(10 + p, p, 1 + p),
    "LogNormal in a box": lambda p: td.Independent(td.LogNormal(p, 1 + p), 1),
}
VALUES = torch.linspace(0.5, 2.0, 40)


@pytest.mark.parametrize("name", KINDS)
class TestEveryKind:
    def test_the_seed_decides_and_nothing_else_moves(self, name: str) -> None:
        parameter = VALUES.clone().requires_grad_()
        q = KINDS[name](parameter)
        before = torch.get_rng_state()
        x = rsample(q, (300,), seed=5)
        assert torch.equal(torch.get_rng_state(), before)
        assert torch.equal(x, rsample(q, (300,), seed=torch.tensor(5)))
        assert not torch.equal(x, rsample(q, (300,), seed=6))
        first, second = (rsample(q, (3,), generator=torch.Generator().manual_seed(1)) for _ in range(2))
        assert torch.equal(first, second)
        assert x.shape == q.rsample((300,)).shape
        threads = torch.get_num_threads()
        try:
            torch.set_num_threads(3)
            assert torch.equal(x, rsample(q, (300,), seed=5))
        finally:
            torch.set_num_threads(threads)

    def test_follows_the_law_and_carries_the_gradient(self, name: str) -> None:
        parameter = VALUES[:3].clone().requires_grad_()
        q = KINDS[name](parameter)
        x = rsample(q, (20_000,), seed=1)
        spread = q.stddev.max().item()
        assert_mean(x.detach(), q.mean.detach(), resolution=0.1 * spread)
        (found,) = torch.autograd.grad(x.mean(0).sum(), parameter, retain_graph=True)
        (expected,) = torch.autograd.grad(q.mean.sum(), parameter) if q.mean.requires_grad else (None,)
        if expected is not None and name != "Dirichlet":
            torch.testing.assert_close(found, expected, atol=0.25 * max(1.0, spread), rtol=0.1)
        assert bool(found.isfinite().all())


def test_distributions_of_this_package_draw_as_they_do_themselves() -> None:
    q = Logistic(torch.zeros(3), 1.0)
    assert torch.equal(rsample(q, (2,), seed=3), q.rsample((2,), seed=3))


def test_without_a_seed_the_default_generator_draws_it() -> None:
    q = td.Gamma(torch.ones(3), 1.0)
    torch.manual_seed(1)
    first, second = rsample(q), rsample(q)
    torch.manual_seed(1)
    assert torch.equal(first, rsample(q))
    assert not torch.equal(first, second)


def test_mistakes_are_refused() -> None:
    with pytest.raises(TypeError, match="q must be a distribution with rsample, but MultiCategorical has none"):
        rsample(MultiCategorical(torch.zeros(3), [3]))
    with pytest.raises(ValueError, match="generator and seed are both given"):
        rsample(td.Normal(0.0, 1.0), generator=torch.Generator(), seed=1)
