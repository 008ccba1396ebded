"""A probability that is given as exactly 0 or 1 is one: such a state is never drawn and never weighs."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor
from torch.distributions import Bernoulli, Categorical, Distribution, Normal, OneHotCategorical

from drawgrad.distributions import KSubset, PlackettLuce
from drawgrad.estimators import ESTIMATORS, Estimator, Exact, IndeCateR, RaoBlackwellScore, UnorderedSet
from drawgrad.variables import Countable, Distributions, variables_of
from tests.estimators.cases import CASES

ONE_HOT = torch.tensor([0.5, 0.5, 0.0])
COSTS = torch.tensor([1.0, 2.0, 1e9])


def logits_of(q: Distribution) -> Tensor:
    return variables_of(q).parameters["logits"]


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16, torch.float16])
@pytest.mark.parametrize("expanded", [False, True])
@pytest.mark.parametrize("validate", [False, True])
def test_logits_are_infinite_there_and_only_there(dtype: torch.dtype, expanded: bool, validate: bool) -> None:
    def made(q: Distribution) -> Tensor:
        return logits_of(q.expand((2, *q.batch_shape)) if expanded else q)

    p = ONE_HOT.to(dtype)
    for family in (OneHotCategorical, Categorical):
        assert made(family(probs=p, validate_args=validate)).isinf().reshape(-1, 3)[0].tolist() == [False, False, True]
    coins = torch.tensor([0.0, 0.3, 1.0, 1e-3], dtype=dtype)
    found = made(Bernoulli(probs=coins, validate_args=validate)).reshape(-1, 4)[0]
    assert found.isinf().tolist() == [True, False, True, False]
    assert bool(found[0] < 0 < found[2])
    # Logits that are given keep their size, however small the probability.
    given = torch.tensor([-60.0, 0.0, 60.0, 17.0, -17.0, 5.0], dtype=dtype)
    for q in (Bernoulli(logits=given, validate_args=validate), OneHotCategorical(logits=given, validate_args=validate)):
        q.probs  # noqa: B018  # computed, and kept by torch
        assert bool(made(q).isfinite().all())


@pytest.mark.parametrize(
    "make",
    [lambda: Exact(), lambda: IndeCateR(samples=2), lambda: UnorderedSet(samples=3), lambda: RaoBlackwellScore(top=2)],
)
@pytest.mark.parametrize("worst", [1e9, torch.inf])
def test_a_state_that_was_given_no_probability_never_weighs(make: Callable[[], Estimator], worst: float) -> None:
    costs = torch.tensor([1.0, 2.0, worst])
    for q, cost in (
        (OneHotCategorical(probs=ONE_HOT), lambda z: costs[z.argmax(-1)]),
        (Categorical(probs=ONE_HOT), lambda z: costs[z]),
    ):
        torch.testing.assert_close(make()(cost, q), torch.tensor(1.5))
    coin = Bernoulli(probs=torch.tensor(0.0))
    torch.testing.assert_close(make()(lambda z: torch.where(z == 1, worst, 3.0), coin), torch.tensor(3.0))


@pytest.mark.parametrize(
    "make", [pytest.param(make, id=label) for label, make in CASES if make().hard and "proposal" not in label]
)
def test_it_is_never_drawn_and_leaves_gradients_finite(make: Callable[[], Estimator]) -> None:
    p = torch.tensor([0.5, 0.5, 0.0]).expand(200, 3).clone().requires_grad_()
    coins = torch.tensor([0.0, 1.0, 0.4]).expand(200, 3).clone().requires_grad_()
    seen = []

    def one_hot(z: Tensor) -> Tensor:
        seen.append(bool((z[..., 2] == 0).all()))
        return (z[..., 0] + 2 * z[..., 1]) ** 2 + 0.1 * z[..., 2]

    def bits(z: Tensor) -> Tensor:
        seen.append(bool((z[..., 0] == 0).all()) and bool((z[..., 1] == 1).all()))
        return ((z * torch.tensor([3.0, 1.0, 2.0])).sum(-1) - 1) ** 2

    estimator = make()
    enumerates = type(estimator).__name__ in {"Exact", "IndeCateR", "UnorderedSet", "RaoBlackwellScore"}
    for q, leaf, cost in ((OneHotCategorical(probs=p), p, one_hot), (Bernoulli(probs=coins), coins, bits)):
        if estimator.obstacle(q) is None:
            loss = make()(cost, q, seed=1)
            (found,) = torch.autograd.grad(loss.sum(), leaf)
            assert bool(loss.isfinite().all())
            assert bool(found.isfinite().all())
    assert enumerates or all(seen)


def test_every_hard_estimator_takes_part() -> None:
    taking = {type(make()).__name__ for label, make in CASES if make().hard}
    assert taking >= {name for name, cls in ESTIMATORS.items() if cls.hard}


@pytest.mark.parametrize(
    "q",
    [
        OneHotCategorical(logits=torch.tensor([[2.0, -1.0, 0.5], [0.0, -torch.inf, 3.0]])),
        Bernoulli(logits=torch.tensor([2.0, -9.0])),
        Categorical(logits=torch.tensor([2.0, -1.0, 0.5])),
        KSubset(torch.tensor([2.0, -1.0, 0.5]), 2),
        PlackettLuce(torch.tensor([2.0, -1.0, 0.5]), 2),
        {"a": Bernoulli(logits=torch.tensor([2.0])), "b": OneHotCategorical(logits=torch.tensor([[2.0, -1.0]]))},
    ],
    ids=lambda q: type(q).__name__,
)
def test_flattened_ones_lead_from_the_uniform_distribution_to_their_own(q: Distributions) -> None:
    variable = variables_of(q)
    assert isinstance(variable, Countable)
    parameters = variable.flattened(torch.tensor([0.0, 0.5, 1.0]))
    assert parameters is not None
    made = variables_of(variable.remade(parameters))
    assert isinstance(made, Countable)
    uniform, between, own = made.log_probs()
    torch.testing.assert_close(own, variable.log_probs())
    possible = own > -torch.inf
    assert torch.equal(uniform > -torch.inf, possible)
    counts = possible.sum(-1, keepdim=True).expand_as(uniform)[possible]
    torch.testing.assert_close(uniform[possible], -counts.float().log())
    assert bool(((between > own) | ~possible).any())


def test_flattened_ones_of_an_unknown_kind_are_none() -> None:
    assert variables_of(Normal(0.0, 1.0)).flattened(torch.ones(1)) is None
    assert variables_of([Normal(0.0, 1.0), Bernoulli(logits=torch.zeros(()))]).flattened(torch.ones(1)) is None
