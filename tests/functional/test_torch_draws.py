"""Torch's samplers from a seed: torch's own numbers, without touching its generator, in any number of threads."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest
import torch
from torch import Tensor
from torch.distributions import (
    Beta,
    Binomial,
    Categorical,
    Dirichlet,
    Distribution,
    Exponential,
    Gamma,
    Multinomial,
    MultivariateNormal,
    Normal,
    Poisson,
    StudentT,
    Uniform,
    VonMises,
)

from drawgrad.distributions import Logistic
from drawgrad.estimators import LeaveOneOut, Pathwise
from drawgrad.functional import seeded

ONE = torch.ones(4)
FAMILIES: list[Distribution] = [
    Beta(ONE, 2 * ONE),
    Binomial(10, 0.3 * ONE),
    Categorical(logits=ONE),
    Dirichlet(ONE),
    Exponential(ONE),
    Gamma(2 * ONE, ONE),
    Logistic(ONE, ONE),
    Multinomial(5, ONE / 4),
    MultivariateNormal(torch.zeros(3), torch.eye(3)),
    Normal(0 * ONE, ONE),
    Poisson(3 * ONE),
    StudentT(3 * ONE),
    Uniform(0 * ONE, ONE),
    VonMises(ONE, ONE),
]


@pytest.mark.parametrize("q", FAMILIES, ids=lambda q: type(q).__name__)
def test_the_numbers_are_those_of_a_seeded_generator(q: Distribution) -> None:
    state = torch.get_rng_state()
    with seeded(torch.tensor(5)):
        found = q.sample(torch.Size([6]))
    assert torch.equal(torch.get_rng_state(), state)
    torch.manual_seed(5)
    assert torch.equal(q.sample(torch.Size([6])), found)


def test_operators_without_an_argument_for_it_take_the_generator_s_overload() -> None:
    def draw() -> list[Tensor]:
        return [torch.rand(3), torch.randn(3), torch.randint(9, (3,)), torch.randperm(5), torch.empty(3).uniform_()]

    with seeded(torch.tensor(5)):
        found = draw()
    torch.manual_seed(5)
    assert all(torch.equal(one, other) for one, other in zip(draw(), found, strict=True))


def test_threads_do_not_disturb_each_other() -> None:
    q = Normal(torch.zeros(20), 1.0)

    def values(seed: int) -> tuple[Tensor, Tensor]:
        cost = lambda z: z.sum(-1)  # noqa: E731
        return LeaveOneOut(samples=4)(cost, q, seed=seed), Pathwise(samples=4)(cost, q, seed=seed)

    alone = [values(seed) for seed in range(300)]
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(values, range(300)))
    for one, other in zip(alone, together, strict=True):
        assert torch.equal(one[0], other[0])
        assert torch.equal(one[1], other[1])


def test_other_draws_go_on_undisturbed() -> None:
    torch.manual_seed(1)
    expected = torch.rand(3)
    torch.manual_seed(1)
    LeaveOneOut()(lambda z: z, Normal(0.0, 1.0), seed=3)
    assert torch.equal(torch.rand(3), expected)
