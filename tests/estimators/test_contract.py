"""The contract of every estimator on the list, checked against enumeration."""

from __future__ import annotations

import inspect
import pkgutil
from collections.abc import Callable, Iterator
from importlib import import_module

import pytest
import torch
from torch import Tensor
from torch.distributions import Bernoulli, Distribution, Independent, OneHotCategorical

from drawgrad import estimators
from drawgrad.estimators import ESTIMATORS, Estimator, Exact
from drawgrad.variables import Subset, Variable
from tests.estimators.bounds import exact_objective
from tests.estimators.cases import CASES, CONFIGURATIONS, Case
from tests.estimators.from_docs import definitions
from tests.estimators.problems import GRID, Gradients, Problem
from tests.estimators.scores import PlainScore, WrongParameters, WrongScore
from tests.statistics import Underpowered, assert_mean, with_enough_draws

DRAWS = 60_000
MOST_DRAWS = 4 * DRAWS
RESOLUTION = 0.2
"""A deviation of a gradient that must be noticed, as a part of its largest entry."""
BEYOND = [Problem("neural", 3, 2), Problem("polynomial", 2, 2, binary=True)]
"""Costs beyond the second order: every estimator that is not unbiased is off on them, at a temperature of one."""
APART = {"Pathwise"} | {name for name, cls in ESTIMATORS.items() if cls.takes is Subset}
"""Estimators of other variables than those of the problems here."""
SMALL = [Problem("neural", 3, 2), Problem("neural", 2, 2, binary=True)]

Make = Callable[[], Estimator]
PUBLIC = definitions()
OWN: list[Case] = [
    ("PlainScore()", PlainScore),
    ("PlainScore(samples=3)", lambda: PlainScore(samples=3)),
    ("SelfCritical()", PUBLIC["SelfCritical"]),
    ("Damped()", PUBLIC["Damped"]),
]
"""The suite checks estimators of its own as well, and those of a user, from the docs page on writing one."""


def takes(make: Make, problem: Problem) -> bool:
    return make().obstacle(problem.distribution(problem.logits)) is None


def pairs(problems: list[Problem], chosen: Callable[[Estimator], bool]) -> Iterator[object]:
    for label, make in [*CASES, *OWN]:
        for problem in problems:
            if chosen(make()) and takes(make, problem):
                yield pytest.param(make, problem, id=f"{label}-{problem.name}")


def each(problems: list[Problem] = SMALL, chosen: Callable[[Estimator], bool] = lambda estimator: True) -> object:
    """Every configuration of every estimator, on every problem that it takes."""
    return pytest.mark.parametrize(("make", "problem"), list(pairs(problems, chosen)))


def once() -> list[object]:
    """Every estimator with its defaults, on one problem that it takes."""
    defaults = {type(make()): make for _, make in reversed(CASES)}
    return [
        pytest.param(make, problem, id=f"{cls.__name__}-{problem.name}")
        for cls, make in defaults.items()
        for problem in [next((problem for problem in SMALL if takes(make, problem)), None)]
        if problem is not None
    ]


def samples(estimator: Estimator) -> bool:
    return not estimator.exact


def temperature(estimator: Estimator) -> object:
    return 1.0 if estimator.temperature is None else getattr(estimator, estimator.temperature)


def assert_unbiased(found: Gradients, exact: Gradients, magnitude: float = 0.0) -> None:
    resolution = RESOLUTION * exact.logits.abs().max().item()
    assert_mean(found.logits, exact.logits, resolution=resolution, magnitude=magnitude)
    assert_right_for_hard_samples(found, exact, magnitude)


def assert_right_for_hard_samples(found: Gradients, exact: Gradients, magnitude: float = 0.0) -> None:
    """What does not depend on the estimator, as long as the cost sees samples of q: value and closed-over gradients."""
    # Exact values do not vary, so their own standard deviation is no scale for them.
    scale = max(found.value.std().item(), 1e-9)
    assert_mean(found.value, exact.value, resolution=RESOLUTION * scale, magnitude=magnitude)
    resolution = RESOLUTION * exact.parameters.abs().max().item()
    assert_mean(found.parameters, exact.parameters, resolution=resolution, magnitude=magnitude)


def assert_equal(found: Gradients, expected: Gradients) -> None:
    torch.testing.assert_close(found.value, expected.value)
    torch.testing.assert_close(found.logits, expected.logits)
    torch.testing.assert_close(found.parameters, expected.parameters)


class TestTheList:
    def test_holds_every_estimator_of_the_package(self) -> None:
        found = set()
        for module in pkgutil.walk_packages(estimators.__path__, "drawgrad.estimators."):
            members = vars(import_module(module.name)).values()
            found |= {cls for cls in members if isinstance(cls, type) and issubclass(cls, Estimator)}
        assert {cls for cls in found if not inspect.isabstract(cls)} == set(ESTIMATORS.values())

    @pytest.mark.parametrize("name", ESTIMATORS)
    def test_names_public_classes_that_state_their_claims(self, name: str) -> None:
        cls = ESTIMATORS[name]
        assert getattr(estimators, name) is cls
        assert isinstance(cls.unbiased, bool)
        assert isinstance(cls.needs_cost_gradient, bool)
        assert isinstance(cls.hard, bool)
        assert issubclass(cls.takes, Variable)

    def test_every_configuration_belongs_to_one(self) -> None:
        assert set(CONFIGURATIONS) <= set(ESTIMATORS)

    def test_every_estimator_takes_part(self) -> None:
        """All but those for continuous distributions or subsets, whose tests are apart."""
        taking_part = {type(make()).__name__ for _, make in CASES if any(takes(make, problem) for problem in GRID)}
        assert set(ESTIMATORS) - taking_part == APART

    def test_every_estimator_that_claims_no_bias_is_checked_and_every_other_one_detected(self) -> None:
        checked = {type(param.values[0]()) for param in pairs(GRID, lambda estimator: estimator.unbiased)}
        detected = {type(param.values[0]()) for param in pairs(BEYOND, lambda estimator: not estimator.unbiased)}
        own = {type(make()) for _, make in OWN}
        assert checked | detected == ({*ESTIMATORS.values()} | own) - {ESTIMATORS[name] for name in APART}


class TestGradient:
    @each(GRID, lambda estimator: estimator.unbiased and samples(estimator))
    def test_of_an_unbiased_estimator_has_the_exact_mean(self, make: Make, problem: Problem) -> None:
        exact = exact_objective(make(), problem)

        def check(draws: int) -> None:
            assert_unbiased(problem.estimates(make(), draws), exact, problem.largest_cost())

        with_enough_draws(check, MOST_DRAWS)

    @each(BEYOND, lambda estimator: not estimator.unbiased and temperature(estimator) == 1.0)
    def test_of_a_biased_estimator_has_not(self, make: Make, problem: Problem) -> None:
        found, exact = problem.estimates(make(), DRAWS), problem.exact()
        with pytest.raises(AssertionError, match="the mean of entry") as failure:
            assert_mean(found.logits, exact.logits, resolution=RESOLUTION * exact.logits.abs().max().item())
        assert not isinstance(failure.value, Underpowered)

    @each(BEYOND, lambda estimator: not estimator.unbiased and estimator.hard)
    def test_of_a_hard_sample_s_cost_is_exact_for_what_the_cost_closes_over(self, make: Make, problem: Problem) -> None:
        assert_right_for_hard_samples(problem.estimates(make(), DRAWS), problem.exact())

    @each(BEYOND, lambda estimator: not estimator.hard)
    def test_of_a_relaxed_value_is_not(self, make: Make, problem: Problem) -> None:
        with pytest.raises(AssertionError, match="the mean of entry"):
            assert_right_for_hard_samples(problem.estimates(make(), DRAWS), problem.exact())

    @pytest.mark.parametrize("wrong", [WrongScore(), WrongParameters()], ids=str)
    def test_of_a_wrong_estimator_is_rejected(self, wrong: Estimator) -> None:
        problem = Problem("quadratic", 3, 2)
        with pytest.raises(AssertionError, match="the mean of entry") as failure:
            assert_unbiased(problem.estimates(wrong, DRAWS), problem.exact())
        assert not isinstance(failure.value, Underpowered)

    @pytest.mark.parametrize("problem", GRID, ids=lambda problem: problem.name)
    def test_of_the_enumeration_is_exact(self, problem: Problem) -> None:
        found, exact = problem.estimates(Exact(), 2), problem.exact()
        for draw in range(2):
            torch.testing.assert_close(found.value[draw], exact.value)
            torch.testing.assert_close(found.logits[draw], exact.logits)
            torch.testing.assert_close(found.parameters[draw], exact.parameters)


class TestCall:
    """What holds for one call, whatever is drawn: the gradient is that of the same call, made in another way."""

    @each()
    def test_declared_evaluations_are_those_spent(self, make: Make, problem: Problem) -> None:
        spent = []

        def cost(z: Tensor) -> Tensor:
            spent.append(z.shape[0])
            return problem.cost(z, problem.parameters)

        estimator = make()
        logits = problem.logits.expand(4, *problem.logits.shape).clone().requires_grad_()
        estimator(cost, problem.distribution(logits), seed=0).sum().backward()
        assert sum(spent) == estimator.evaluations(problem.classes, problem.variables)

    @each(chosen=samples)
    def test_one_seed_gives_one_result(self, make: Make, problem: Problem) -> None:
        first = problem.estimates(make(), 5, seed=3)
        assert_equal(problem.estimates(make(), 5, seed=3), first)
        assert not torch.equal(problem.estimates(make(), 5, seed=4).value, first.value)

    @each(chosen=samples)
    def test_all_randomness_is_the_generator_s(self, make: Make, problem: Problem) -> None:
        def value(generator: torch.Generator | None) -> Tensor:
            q = problem.distribution(problem.logits.expand(5, *problem.logits.shape).clone().requires_grad_())
            return make()(lambda z: problem.cost(z, problem.parameters), q, generator=generator).detach()

        torch.manual_seed(1)
        state = torch.get_rng_state()
        first = value(torch.Generator().manual_seed(2))
        assert torch.equal(torch.get_rng_state(), state)
        torch.manual_seed(3)
        assert torch.equal(value(torch.Generator().manual_seed(2)), first)
        torch.manual_seed(4)
        default = value(None)
        torch.manual_seed(4)
        assert torch.equal(value(None), default)

    @each()
    def test_without_gradients_the_value_is_the_same(self, make: Make, problem: Problem) -> None:
        def value() -> Tensor:
            q = problem.distribution(problem.logits.expand(5, *problem.logits.shape).clone().requires_grad_())
            return make()(lambda z: problem.cost(z, problem.parameters), q, seed=3)

        with torch.no_grad():
            quiet = value()
        assert not quiet.requires_grad
        torch.testing.assert_close(quiet, value().detach())

    @each()
    def test_logits_may_be_fixed_while_the_cost_learns(self, make: Make, problem: Problem) -> None:
        parameters = problem.parameters.expand(5, -1).clone().requires_grad_()
        q = problem.distribution(problem.logits.expand(5, *problem.logits.shape))
        loss = make()(lambda z: problem.cost(z, parameters), q, seed=3)
        (found,) = torch.autograd.grad(loss.sum(), parameters)
        torch.testing.assert_close(found, problem.estimates(make(), 5, seed=3).parameters)

    @each()
    def test_gradients_reach_an_encoder_through_probs(self, make: Make, problem: Problem) -> None:
        """With probabilities that a network computes for q: the chain rule, to rounding."""
        features = torch.randn(5, 4, dtype=torch.float64)
        weights = 0.5 * torch.randn(4, problem.logits.numel(), dtype=torch.float64)

        def gradient(kind: str) -> Tensor:
            leaf = weights.clone().requires_grad_()
            logits = (features @ leaf).unflatten(-1, problem.logits.shape)
            family = Bernoulli if problem.binary else OneHotCategorical
            p = logits.sigmoid() if problem.binary else logits.softmax(-1)
            q: Distribution = family(logits=logits) if kind == "logits" else family(probs=p)
            loss = make()(lambda z: problem.cost(z, problem.parameters), q, seed=3)
            return torch.autograd.grad(loss.sum(), leaf)[0]

        torch.testing.assert_close(gradient("probs"), gradient("logits"), rtol=1e-5, atol=1e-7)

    @each()
    def test_independent_is_looked_through(self, make: Make, problem: Problem) -> None:
        def gradient(wrap: Callable[[Distribution], Distribution]) -> tuple[Tensor, Tensor]:
            logits = problem.logits.expand(5, *problem.logits.shape).clone().requires_grad_()
            q = wrap(problem.distribution(logits))
            loss = make()(lambda z: problem.cost(z, problem.parameters), q, seed=3)
            return loss.detach(), torch.autograd.grad(loss.sum(), logits)[0]

        plain, wrapped = gradient(lambda q: q), gradient(lambda q: Independent(q, 1))
        torch.testing.assert_close(wrapped, plain)

    @each()
    def test_any_prefix_of_the_batch_may_share_a_cost(self, make: Make, problem: Problem) -> None:
        shape = problem.logits.shape
        # Torch cannot build a categorical distribution of an empty batch.
        empty = [(0,)] if problem.binary else []
        for batch in [(), (3,), (2, 3), (2, 1), *empty]:
            logits = problem.logits.expand(*batch, *shape).clone().requires_grad_()
            q = problem.distribution(logits)
            loss = make()(lambda z: problem.cost(z, problem.parameters), q, seed=3)
            assert loss.shape == batch
            (found,) = torch.autograd.grad(loss.sum(), logits)
            assert found.shape == logits.shape
            assert bool(found.isfinite().all())
        # The same variables, each with a cost of its own.
        logits = problem.logits.clone().requires_grad_()
        loss = make()(lambda z: (z if problem.binary else z[..., 0]) ** 2 + 0.1, problem.distribution(logits), seed=3)
        assert loss.shape == (problem.variables,)

    @each()
    @pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
    def test_narrow_dtypes_are_kept(self, make: Make, problem: Problem, dtype: torch.dtype) -> None:
        logits = problem.logits.to(dtype).expand(5, *problem.logits.shape).clone().requires_grad_()
        q = problem.distribution(logits)
        seen = []

        def cost(z: Tensor) -> Tensor:
            seen.append(z.dtype)
            return (z.flatten(2) ** 2 if z.dim() > 2 else z**2).sum(-1)

        loss = make()(cost, q, seed=3)
        (found,) = torch.autograd.grad(loss.sum(), logits)
        assert set(seen) == {dtype}
        assert found.dtype == dtype
        assert bool(found.isfinite().all())

    @pytest.mark.parametrize(("make", "problem"), once())
    def test_compiled_and_eager_agree(self, make: Make, problem: Problem) -> None:
        """In one graph, where the estimator needs no gradient of the cost on the way to its value."""
        parameters = problem.parameters
        fullgraph = make().compiles

        def step(estimator: Estimator, logits: Tensor, seed: Tensor) -> Tensor:
            family = Bernoulli if problem.binary else OneHotCategorical
            q = family(logits=logits, validate_args=False)
            return estimator(lambda z: problem.cost(z, parameters), q, seed=seed)

        torch.compiler.reset()
        logits = problem.logits.expand(5, *problem.logits.shape).clone().requires_grad_()
        eager = step(make(), logits, torch.tensor(3))
        compiled = torch.compile(step, fullgraph=fullgraph, backend="aot_eager")(make(), logits, torch.tensor(3))
        torch.testing.assert_close(compiled, eager)
        torch.testing.assert_close(
            torch.autograd.grad(compiled.sum(), logits)[0], torch.autograd.grad(eager.sum(), logits)[0]
        )
