"""An expectation inside a cost: every estimator outside and inside, against enumeration of both layers."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor
from torch.distributions import Bernoulli, OneHotCategorical

from drawgrad.estimators import ESTIMATORS, Estimator, Exact, StraightThrough
from tests.estimators.cases import CASES
from tests.estimators.scores import PlainScore
from tests.statistics import assert_mean, with_enough_draws

DRAWS = 60_000
RESOLUTION = 0.25
"""A deviation that must be noticed, as a part of the gradient's largest entry."""

TOP = torch.tensor([[0.5, -0.3, 0.1], [0.0, 0.8, -0.6]], dtype=torch.float64)
"""Logits of two variables with three classes each."""
WEIGHTS = torch.tensor([[1.5, -1.0, 0.4, 0.2, -1.2, 0.9], [-0.7, 0.8, -0.2, 1.1, 0.3, -1.4]], dtype=torch.float64)
"""From the upper sample to the log-odds of two Bernoulli variables below."""
BIAS = torch.tensor([0.2, -0.4], dtype=torch.float64)
COST = torch.tensor([0.7, -1.1], dtype=torch.float64)

Leaves = tuple[Tensor, Tensor, Tensor]
Expectation = Callable[[Callable[[Tensor], Tensor], Bernoulli], Tensor]


def cost(upper: Tensor, lower: Tensor, parameters: Tensor) -> Tensor:
    first = (lower * parameters).sum(-1)
    second = upper[..., 0, 0] - upper[..., 1, 2]
    return (first - 0.4) ** 2 + first * second + torch.tanh(second + 0.3)


def enumerated(function: Callable[[Tensor], Tensor], q: Bernoulli) -> Tensor:
    """The inner expectation, state by state."""
    total = torch.zeros((), dtype=torch.float64)
    for a in (0.0, 1.0):
        for b in (0.0, 1.0):
            state = torch.tensor([a, b], dtype=torch.float64)
            p = torch.sigmoid((2 * state - 1) * q.logits).prod(-1)
            total = total + p * function(state.expand(1, *q.batch_shape))[0]
    return total


def leaves(draws: int) -> Leaves:
    def copies(tensor: Tensor) -> Tensor:
        return tensor.expand(draws, *tensor.shape).clone().requires_grad_()

    return copies(TOP), copies(BIAS), copies(COST)


def nested(outer: Estimator, inner: Expectation, draws: int, seed: int = 1) -> tuple[Tensor, ...]:
    """Loss and gradients for the upper logits, the lower ones' bias and the cost's parameters, a draw a row."""
    top, bias, parameters = leaves(draws)

    def upper_cost(upper: Tensor) -> Tensor:
        lower = Bernoulli(logits=upper.flatten(-2) @ WEIGHTS.T + bias)
        return inner(lambda z: cost(upper, z, parameters), lower)

    loss = outer(upper_cost, OneHotCategorical(logits=top), seed=seed)
    assert loss.shape == (draws,)
    return loss.detach(), *torch.autograd.grad(loss.sum(), (top, bias, parameters))


def exact() -> tuple[Tensor, ...]:
    """Both layers state by state."""
    top, bias, parameters = leaves(1)
    eye = torch.eye(3, dtype=torch.float64)
    total = torch.zeros((), dtype=torch.float64)
    for i in range(3):
        for j in range(3):
            upper = torch.stack([eye[i], eye[j]])[None]
            p = top.softmax(-1)[0, 0, i] * top.softmax(-1)[0, 1, j]
            lower = Bernoulli(logits=upper.flatten(-2) @ WEIGHTS.T + bias)
            total = total + p * enumerated(lambda z, upper=upper: cost(upper, z, parameters), lower)[0]
    return total.detach(), *(found[0] for found in torch.autograd.grad(total, (top, bias, parameters)))


CATEGORICAL = [
    pytest.param(make, id=label)
    for label, make in CASES
    if make().obstacle(OneHotCategorical(logits=torch.zeros(2))) is None
]
BINARY = [
    pytest.param(make, id=label) for label, make in CASES if make().obstacle(Bernoulli(logits=torch.zeros(()))) is None
]


def test_exact_inside_exact() -> None:
    found = nested(Exact(), Exact(), 2)
    for one, expected in zip(found, exact(), strict=True):
        torch.testing.assert_close(one[0], expected)
        torch.testing.assert_close(one[1], expected)


@pytest.mark.parametrize("make", CATEGORICAL)
def test_outside(make: Callable[[], Estimator]) -> None:
    """With an exact expectation inside, nesting must be the same as a cost that enumerates by hand."""
    found = nested(make(), Exact(), 7)
    expected = nested(make(), enumerated, 7)
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one, other)


@pytest.mark.parametrize(
    "make",
    [
        param
        for param in BINARY
        if param.values[0]().hard
        and not param.values[0]().multi_sample_bound
        and not isinstance(param.values[0](), Exact)
    ],
)
def test_inside(make: Callable[[], Estimator]) -> None:
    """Inside an exact expectation: value and cost of a hard sample are unbiased, the rest is if the estimator is."""
    estimator = make()
    expected = exact()

    def check(draws: int) -> None:
        value, top, bias, parameters = nested(Exact(), lambda f, q: estimator(f, q, seed=5), draws)
        assert_mean(value, expected[0], resolution=RESOLUTION * value.std().item())
        assert_mean(top, expected[1], resolution=RESOLUTION * expected[1].abs().max().item())
        assert_mean(parameters, expected[3], resolution=RESOLUTION * expected[3].abs().max().item())
        if estimator.unbiased:
            assert_mean(bias, expected[2], resolution=RESOLUTION * expected[2].abs().max().item())

    with_enough_draws(check, DRAWS)


@pytest.mark.parametrize(
    "make",
    [
        param
        for param in CATEGORICAL
        # A bound is no expectation, so the variance of what stands inside changes it.
        if param.values[0]().unbiased and not param.values[0]().multi_sample_bound
    ],
)
def test_a_score_function_inside_an_unbiased_estimator(make: Callable[[], Estimator]) -> None:
    estimator = make()
    inner = PlainScore(samples=4)

    def check(draws: int) -> None:
        found = nested(estimator, lambda f, q: inner(f, q, seed=5), draws)
        for one, expected in zip(found[1:], exact()[1:], strict=True):
            assert_mean(one, expected, resolution=RESOLUTION * expected.abs().max().item())

    with_enough_draws(check, DRAWS)


class TestThreeLayers:
    """A score function inside a straight-through estimator inside a score function."""

    def estimate(self, outer: Estimator, inner: Estimator, draws: int, seed: int) -> tuple[Tensor, ...]:
        top, bias, parameters = leaves(draws)

        def top_cost(upper: Tensor) -> Tensor:
            lower = Bernoulli(logits=upper.flatten(-2) @ WEIGHTS.T + bias)
            return StraightThrough()(lambda z: middle_cost(upper, z), lower, seed=seed + 1)

        def middle_cost(upper: Tensor, lower: Tensor) -> Tensor:
            last = Bernoulli(logits=lower * 1.3 - bias)
            return inner(lambda z: cost(upper, z, parameters) * (1 + lower[..., 0]), last, seed=seed + 2)

        loss = outer(top_cost, OneHotCategorical(logits=top), seed=seed)
        return torch.autograd.grad(loss.sum(), (top, bias, parameters))

    def test_have_the_mean_that_exact_outer_layers_give(self) -> None:
        found = self.estimate(PlainScore(samples=3), PlainScore(samples=3), DRAWS, seed=10)
        expected = self.estimate(Exact(), Exact(), DRAWS, seed=20)
        for one, other in zip(found, expected, strict=True):
            assert_mean(one - other, 0.0, resolution=RESOLUTION * other.mean(0).abs().max().item())

    def test_and_not_another_one(self) -> None:
        found = self.estimate(StraightThrough(samples=3), PlainScore(samples=3), DRAWS, seed=10)
        expected = self.estimate(Exact(), Exact(), DRAWS, seed=20)
        with pytest.raises(AssertionError, match="the mean of entry"):
            assert_mean(found[0] - expected[0], 0.0, resolution=RESOLUTION * expected[0].mean(0).abs().max().item())


def test_every_estimator_of_discrete_variables_is_nested() -> None:
    nested_ = {type(param.values[0]()).__name__ for param in [*CATEGORICAL, *BINARY]}
    assert {
        name
        for name, cls in ESTIMATORS.items()
        for q in (OneHotCategorical(logits=torch.zeros(2)), Bernoulli(logits=torch.zeros(())))
        if cls().obstacle(q) is None
    } == nested_
