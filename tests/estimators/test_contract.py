"""The contract of every estimator on the list, checked against enumeration."""

from __future__ import annotations

import inspect
import pkgutil
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from typing import ClassVar

import pytest
import torch
from torch import Tensor
from torch.distributions import Distribution

from drawgrad import estimators
from drawgrad.estimators import ESTIMATORS, Estimator, Exact
from drawgrad.estimators._base import SampleEstimator, draw
from drawgrad.estimators._cost import Cost, gradient_only, sum_variables
from drawgrad.estimators._registry import Kind
from tests.estimators.cases import CASES, CONFIGURATIONS
from tests.estimators.problems import GRID, Gradients, Problem
from tests.statistics import Underpowered, assert_mean

DRAWS = 60_000
RESOLUTION = 0.2
"""A deviation of a gradient that must be noticed, as a part of its largest entry."""

Make = Callable[[], Estimator]


@dataclass(frozen=True, kw_only=True)
class PlainScore(SampleEstimator):
    """A score function estimator without a baseline, as short as the base allows."""

    unbiased: ClassVar[bool] = True
    needs_cost_gradient: ClassVar[bool] = False
    supports: ClassVar[frozenset[Kind]] = frozenset({"log_prob"})

    def estimate(self, cost: Cost, q: Distribution, seed: Tensor) -> Tensor:
        z = draw(q, self.samples, seed)
        costs = cost(z)
        score = sum_variables(q.log_prob(z), costs)
        return (costs + gradient_only(costs.detach() * score)).mean(0)


@dataclass(frozen=True, kw_only=True)
class WrongScore(PlainScore):
    """Known to be wrong: the score is too small by a quarter."""

    def estimate(self, cost: Cost, q: Distribution, seed: Tensor) -> Tensor:
        z = draw(q, self.samples, seed)
        costs = cost(z)
        return (costs + gradient_only(0.75 * costs.detach() * sum_variables(q.log_prob(z), costs))).mean(0)


@dataclass(frozen=True, kw_only=True)
class WrongParameters(PlainScore):
    """Known to be wrong: the cost's own parameters get their gradient twice."""

    def estimate(self, cost: Cost, q: Distribution, seed: Tensor) -> Tensor:
        z = draw(q, self.samples, seed)
        costs = cost(z)
        return (costs + gradient_only(costs * sum_variables(q.log_prob(z), costs)) + gradient_only(costs)).mean(0)


def takes(make: Make, problem: Problem) -> bool:
    return bool(type(make()).supports & {"binary" if problem.binary else "categorical", "log_prob"})


def pairs(unbiased: bool) -> list[object]:
    return [
        pytest.param(make, problem, id=f"{label}-{problem.name}")
        for label, make in [
            *CASES,
            ("PlainScore()", PlainScore),
            ("PlainScore(samples=3)", lambda: PlainScore(samples=3)),
        ]
        for problem in GRID
        if type(make()).unbiased is unbiased and takes(make, problem) and not isinstance(make(), Exact)
    ]


def assert_unbiased(found: Gradients, exact: Gradients) -> None:
    assert_mean(found.logits, exact.logits, resolution=RESOLUTION * exact.logits.abs().max().item())
    assert_mean(found.value, exact.value, resolution=RESOLUTION * found.value.std().item())
    assert_mean(found.parameters, exact.parameters, resolution=RESOLUTION * exact.parameters.abs().max().item())


@pytest.mark.parametrize(("make", "problem"), pairs(unbiased=True))
def test_the_mean_of_an_unbiased_estimator_is_exact(make: Make, problem: Problem) -> None:
    assert_unbiased(problem.estimates(make(), DRAWS), problem.exact())


@pytest.mark.parametrize("wrong", [WrongScore(), WrongParameters()])
def test_a_wrong_estimator_is_noticed(wrong: Estimator) -> None:
    problem = Problem("quadratic", 3, 2)
    with pytest.raises(AssertionError) as failure:
        assert_unbiased(problem.estimates(wrong, DRAWS), problem.exact())
    assert not isinstance(failure.value, Underpowered)


@pytest.mark.parametrize("problem", GRID, ids=lambda problem: problem.name)
def test_enumeration_is_exact(problem: Problem) -> None:
    found, exact = problem.estimates(Exact(), 2), problem.exact()
    for draw_ in range(2):
        torch.testing.assert_close(found.value[draw_], exact.value)
        torch.testing.assert_close(found.logits[draw_], exact.logits)
        torch.testing.assert_close(found.parameters[draw_], exact.parameters)


BIASED_PROBLEM = [Problem("neural", 3, 2), Problem("polynomial", 2, 2, binary=True)]
"""Costs beyond the second order: every estimator that is not unbiased is off on them, at a temperature of one."""


@pytest.mark.parametrize(
    ("cls", "problem"),
    [
        pytest.param(cls, problem, id=f"{name}-{problem.name}")
        for name, cls in ESTIMATORS.items()
        for problem in BIASED_PROBLEM
        if not cls.unbiased and takes(cls, problem)
    ],
)
def test_a_biased_estimator_is_detected(cls: type[Estimator], problem: Problem) -> None:
    found, exact = problem.estimates(cls(), DRAWS), problem.exact()
    with pytest.raises(AssertionError, match="the mean of entry") as failure:
        assert_mean(found.logits, exact.logits, resolution=RESOLUTION * exact.logits.abs().max().item())
    assert not isinstance(failure.value, Underpowered)


class TestTheList:
    def test_holds_every_estimator_of_the_package(self) -> None:
        found = set()
        for module in pkgutil.iter_modules(estimators.__path__):
            members = vars(import_module(f"drawgrad.estimators.{module.name}")).values()
            found |= {cls for cls in members if isinstance(cls, type) and issubclass(cls, Estimator)}
        public = {cls for cls in found if cls.__module__.startswith("drawgrad.") and not inspect.isabstract(cls)}
        assert public == set(ESTIMATORS.values())

    @pytest.mark.parametrize("name", ESTIMATORS)
    def test_names_public_classes_that_state_their_claims(self, name: str) -> None:
        cls = ESTIMATORS[name]
        assert getattr(estimators, name) is cls
        assert isinstance(cls.unbiased, bool)
        assert isinstance(cls.needs_cost_gradient, bool)
        assert cls.supports

    def test_every_configuration_belongs_to_one(self) -> None:
        assert set(CONFIGURATIONS) <= set(ESTIMATORS)


@pytest.mark.parametrize(("label", "make"), CASES, ids=[label for label, _ in CASES])
def test_declared_evaluations_are_those_spent(label: str, make: Make) -> None:
    spent = []
    for problem in (Problem("linear", 2, 2, binary=True), Problem("linear", 3, 2)):
        if not takes(make, problem):
            continue

        def cost(z: Tensor, problem: Problem = problem) -> Tensor:
            spent.append(z.shape[0])
            return problem.cost(z, problem.parameters)

        spent.clear()
        estimator = make()
        q = problem.distribution(problem.logits.expand(4, *problem.logits.shape).clone().requires_grad_())
        estimator(cost, q, seed=0).sum().backward()
        assert sum(spent) == estimator.evaluations(problem.classes, problem.variables)


@pytest.mark.parametrize(("label", "make"), CASES, ids=[label for label, _ in CASES])
def test_one_seed_gives_one_result(label: str, make: Make) -> None:
    for problem in (Problem("neural", 2, 2, binary=True), Problem("neural", 3, 2)):
        if not takes(make, problem):
            continue
        first, again = problem.estimates(make(), 5, seed=3), problem.estimates(make(), 5, seed=3)
        assert torch.equal(first.value, again.value)
        assert torch.equal(first.logits, again.logits)
        other = problem.estimates(make(), 5, seed=4)
        if not isinstance(make(), Exact):
            assert not torch.equal(first.value, other.value)
