"""Several distributions at once, against enumeration."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.distributions import Bernoulli, Gamma, Normal, OneHotCategorical

from drawgrad.estimators import (
    ESTIMATORS,
    Estimator,
    Exact,
    GumbelSoftmax,
    IndeCateR,
    LeaveOneOut,
    Pathwise,
    RaoBlackwellScore,
    Rebar,
    Reinforce,
    ReinMax,
    UnorderedSet,
)
from drawgrad.variables import Joint, JointCountable, variables_of
from tests.statistics import assert_mean, with_enough_draws

SHAPES = {"letter": (3,), "bits": (2,), "digit": (2, 4)}
"""One choice of three classes, two bits, two choices of four classes."""


def logits() -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(3)
    return {name: torch.randn(shape, generator=generator, dtype=torch.float64) for name, shape in SHAPES.items()}


def distributions(given: dict[str, Tensor]) -> dict[str, Any]:
    return {name: (Bernoulli if name == "bits" else OneHotCategorical)(logits=value) for name, value in given.items()}


def cost(z: dict[str, Tensor]) -> Tensor:
    letter, bits, digit = z["letter"], z["bits"], z["digit"]
    value = (digit * torch.arange(4.0, dtype=digit.dtype)).sum(-1)
    return (letter[..., 0] + bits.sum(-1)) * value[..., 0] + (value[..., 0] - value[..., 1]) ** 2 - 2 * letter[..., 1]


def exact() -> tuple[Tensor, dict[str, Tensor]]:
    leaves = {name: value.requires_grad_() for name, value in logits().items()}
    number = torch.cartesian_prod(*[torch.arange(size) for size in (3, 2, 2, 4, 4)])
    eye = torch.eye
    z = {
        "letter": eye(3, dtype=torch.float64)[number[:, 0]],
        "bits": number[:, 1:3].double(),
        "digit": eye(4, dtype=torch.float64)[number[:, 3:]],
    }
    p = (z["letter"] * leaves["letter"].softmax(-1)).sum(-1)
    on = leaves["bits"].sigmoid()
    p = p * (z["bits"] * on + (1 - z["bits"]) * (1 - on)).prod(-1)
    p = p * (z["digit"] * leaves["digit"].softmax(-1)).sum(-1).prod(-1)
    value = (p * cost(z)).sum()
    return value.detach(), dict(zip(leaves, torch.autograd.grad(value, list(leaves.values())), strict=True))


def estimates(estimator: Estimator, draws: int) -> tuple[Tensor, dict[str, Tensor]]:
    leaves = {name: value.expand(draws, *value.shape).clone().requires_grad_() for name, value in logits().items()}
    loss = estimator(cost, distributions(leaves), seed=1)
    assert loss.shape == (draws,)
    return loss.detach(), dict(zip(leaves, torch.autograd.grad(loss.sum(), list(leaves.values())), strict=True))


def test_the_variable_counts_all_choices() -> None:
    leaves = {name: value.expand(5, *value.shape) for name, value in logits().items()}
    variable = variables_of(distributions(leaves))
    assert isinstance(variable, JointCountable)
    assert (variable.cost_shape, variable.batch_shape, variable.states) == ((5,), (5, 5), 4)
    assert variable.sizes(5) == [3, 2, 2, 4, 4]
    torch.testing.assert_close(variable.log_probs().exp().sum(-1), torch.ones(5, 5, dtype=torch.float64))
    assert sorted(variable.parameters) == ["bits.logits", "digit.logits", "letter.logits"]
    index = variable.expand(6).draw(torch.tensor(0))
    number = variable.number(index)
    assert number.shape == (6, 5, 5)
    for one, other in ((index, variable.state(number)), (index, variable.index_of(variable.sample_of(index)))):
        assert all(torch.equal(one[key], other[key]) for key in SHAPES)
    torch.testing.assert_close(
        variable.log_prob(index), variable.log_probs().expand(6, 5, 5, 4).gather(-1, number[..., None])[..., 0]
    )
    made = variable.remade({name: value.expand(7, *value.shape) for name, value in variable.parameters.items()})
    assert made["digit"].batch_shape == (7, 5, 2)


@pytest.mark.parametrize("estimator", [Exact(), UnorderedSet(samples=192), RaoBlackwellScore(top=192)], ids=str)
def test_enumeration_is_exact(estimator: Estimator) -> None:
    value, gradients = exact()
    found, by_name = estimates(estimator, 2)
    torch.testing.assert_close(found, value.expand(2))
    for name, gradient in gradients.items():
        torch.testing.assert_close(by_name[name], gradient.expand_as(by_name[name]))


@pytest.mark.parametrize(
    "make",
    [
        lambda: IndeCateR(),
        lambda: LeaveOneOut(samples=3),
        lambda: RaoBlackwellScore(top=20),
        lambda: Reinforce(samples=2, antithetic=True),
        lambda: UnorderedSet(samples=4),
    ],
)
def test_the_mean_is_exact(make: Callable[[], Estimator]) -> None:
    value, gradients = exact()

    def check(draws: int) -> None:
        found, by_name = estimates(make(), draws)
        assert_mean(found, value, resolution=0.2 * found.std().item())
        for name, gradient in gradients.items():
            assert_mean(by_name[name], gradient, resolution=0.2 * gradient.abs().max().item())

    with_enough_draws(check, 240_000)


@pytest.mark.parametrize("estimator", [ReinMax(samples=3), GumbelSoftmax(tau=0.7)], ids=str)
def test_a_sample_that_carries_its_gradient_is_one_for_each_part(estimator: Any) -> None:
    leaves = {name: value.requires_grad_() for name, value in logits().items()}
    q = distributions(leaves)
    z = estimator.rsample(q, seed=1)
    assert [tuple(z[name].shape[1:]) for name in SHAPES] == list(SHAPES.values())
    mine = torch.autograd.grad(cost(z).mean(), list(leaves.values()), retain_graph=True)
    torch.testing.assert_close(torch.autograd.grad(estimator(cost, q, seed=1), list(leaves.values())), mine)


def test_lists_and_tuples_come_as_lists() -> None:
    def total(z: list[Tensor]) -> Tensor:
        assert isinstance(z, list)
        return z[0].sum(-1) + z[1].sum(-1)

    for container in (list, tuple):
        q = container([OneHotCategorical(logits=torch.zeros(3)), Bernoulli(logits=torch.zeros(2))])
        for estimator in (Exact(), LeaveOneOut(), ReinMax()):
            estimator(total, q)


def test_continuous_parts_have_a_density() -> None:
    q = {"a": Normal(torch.zeros(5, 2, requires_grad=True), 1.0), "b": Bernoulli(logits=torch.zeros(5))}
    assert type(variables_of(q)) is Joint
    loss = LeaveOneOut(samples=4)(lambda z: z["a"].sum(-1) * z["b"], q, seed=0)
    loss.sum().backward()
    assert loss.shape == (5,)
    continuous = [Normal(torch.zeros(3, requires_grad=True), 1.0), Gamma(torch.ones(3, requires_grad=True), 1.0)]
    loss = Pathwise(samples=10)(lambda z: 3 * z[0] + 0 * z[1], continuous, seed=0)
    torch.testing.assert_close(torch.autograd.grad(loss.sum(), continuous[0].loc)[0], torch.full((3,), 3.0))


def test_what_takes_one_distribution_says_so() -> None:
    q = [OneHotCategorical(logits=torch.zeros(3)), Bernoulli(logits=torch.zeros(2))]
    with pytest.raises(TypeError, match=r"Rebar takes q = Bernoulli or OneHotCategorical, but q is a list; .*ReinMax"):
        Rebar()(lambda z: z[0].sum(-1), q)
    assert {name for name, cls in ESTIMATORS.items() if cls().obstacle(q) is None} >= {"Exact", "Reinforce", "ZGR"}
    with pytest.raises(TypeError, match=r"ReinMax takes q = .*, but q is a Normal"):
        ReinMax()(lambda z: z[0], [*q, Normal(0.0, 1.0)])
    with pytest.raises(ValueError, match="q must hold at least one distribution, but it is empty"):
        Exact()(lambda z: z, [])
    with pytest.raises(TypeError, match="q must be a distribution, but it is a Tensor"):
        Exact()(lambda z: z, [torch.zeros(3)])  # type: ignore[list-item]
