"""Every estimator that takes subsets, rankings or permutations, none of them written for these, by enumeration."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass

import pytest
import torch
from torch import Tensor
from torch.distributions import Distribution, Independent

from drawgrad.distributions import GibbsPermutation, KSubset, PlackettLuce
from drawgrad.estimators import Estimator, Exact, LeaveOneOut
from tests.estimators.cases import CASES
from tests.estimators.scores import PlainScore, WrongScore
from tests.statistics import Underpowered, assert_mean, with_enough_draws

MOST_DRAWS = 240_000
RESOLUTION = 0.2
"""A deviation that must be noticed, as a part of the largest entry of the gradient."""

Make = Callable[[], Estimator]


@dataclass(frozen=True)
class Choice:
    """E[f(z; parameters)] of subsets, rankings or permutations, whose probabilities are written out here."""

    family: type[Distribution]
    classes: int
    k: int
    variables: int = 1

    @property
    def name(self) -> str:
        return f"{self.variables} x {self.family.__name__} {self.k} of {self.classes}"

    @property
    def logits(self) -> Tensor:
        generator = torch.Generator().manual_seed(self.classes + 10 * self.k)
        shape = (self.variables, *(self.classes,) * (2 if self.family is GibbsPermutation else 1))
        return torch.randn(shape, generator=generator, dtype=torch.float64)

    @property
    def parameters(self) -> Tensor:
        generator = torch.Generator().manual_seed(3 + self.classes)
        return torch.randn(self.variables * self.classes, generator=generator, dtype=torch.float64)

    def distribution(self, logits: Tensor) -> Distribution:
        size = () if self.family is GibbsPermutation else (self.k,)
        return self.family(logits, *size, validate_args=False)

    def cost(self, z: Tensor, parameters: Tensor) -> Tensor:
        """A cost beyond the second order, of samples ``(..., variables, event)``."""
        if self.family is PlackettLuce:
            # What a place is worth falls from the first to the last.
            places = torch.arange(self.k, 0, -1, dtype=torch.float64)
            z = torch.nn.functional.one_hot(z, self.classes).double().mul(places[:, None]).sum(-2)
        if self.family is GibbsPermutation:
            # What a column is worth depends on its row.
            z = (z * torch.linspace(-1, 1, self.classes, dtype=torch.float64)[:, None]).sum(-2)
        x = (z.flatten(-2) * parameters).sum(-1)
        return torch.tanh(x) + 0.3 * x**3 + x

    def states(self) -> tuple[Tensor, list[list[tuple[int, ...]]]]:
        """All joint samples, and the classes in them."""
        order = itertools.combinations if self.family is KSubset else itertools.permutations
        joint = list(itertools.product(order(range(self.classes), self.k), repeat=self.variables))
        chosen = torch.tensor(joint)
        if self.family is GibbsPermutation:
            return torch.eye(self.classes).double()[chosen], [list(e) for e in joint]
        if self.family is PlackettLuce:
            return chosen, [list(each) for each in joint]
        return torch.zeros(*chosen.shape[:2], self.classes).double().scatter(-1, chosen, 1.0), [list(e) for e in joint]

    def probabilities(self, logits: Tensor) -> Tensor:
        """Probabilities of all joint states, in plain arithmetic."""
        weights = logits.exp()
        result = []
        for joint in self.states()[1]:
            p = logits.new_ones(())
            for w, chosen in zip(weights, joint, strict=True):
                if self.family is KSubset:
                    sets = itertools.combinations(range(self.classes), self.k)
                    p = p * w[list(chosen)].prod() / torch.stack([w[list(each)].prod() for each in sets]).sum()
                    continue
                if self.family is GibbsPermutation:
                    rows, every = torch.arange(self.classes), itertools.permutations(range(self.classes))
                    total = torch.stack([w[rows, list(each)].prod() for each in every]).sum()
                    p = p * w[rows, list(chosen)].prod() / total
                    continue
                left = w.sum()
                for index in chosen:
                    p, left = p * w[index] / left, left - w[index]
            result.append(p)
        return torch.stack(result)

    def exact(self) -> tuple[Tensor, Tensor, Tensor]:
        logits, parameters = self.logits.requires_grad_(), self.parameters.requires_grad_()
        value = (self.probabilities(logits) * self.cost(self.states()[0], parameters)).sum()
        return value.detach(), *torch.autograd.grad(value, (logits, parameters))

    def estimates(self, estimator: Estimator, draws: int, seed: int = 1) -> tuple[Tensor, Tensor, Tensor]:
        """Values and gradients of independent estimates, all in one call."""
        logits = self.logits.expand(draws, *self.logits.shape).clone().requires_grad_()
        parameters = self.parameters.expand(draws, -1).clone().requires_grad_()
        loss = estimator(lambda z: self.cost(z, parameters), self.distribution(logits), seed=seed)
        assert loss.shape == (draws,)
        return loss.detach(), *torch.autograd.grad(loss.sum(), (logits, parameters))


CHOICES = [
    Choice(KSubset, 4, 2, 2),
    Choice(KSubset, 6, 3),
    Choice(PlackettLuce, 3, 3, 2),
    Choice(PlackettLuce, 4, 2),
    Choice(GibbsPermutation, 3, 3, 2),
]


def takes(make: Make, choice: Choice) -> bool:
    return make().obstacle(choice.distribution(choice.logits)) is None


EACH = [
    pytest.param(make, choice, id=f"{label}-{choice.name}")
    for label, make in [*CASES, ("PlainScore()", PlainScore)]
    for choice in CHOICES
    if make().unbiased
    and not make().multi_sample_bound
    and takes(make, choice)
    # Not exactly a distribution of another kind, and no probabilities that a network could be shown.
    and "proposal" not in label
    and not ("Nvil" in label and choice.family is PlackettLuce)
]


def assert_unbiased(estimator: Estimator, choice: Choice, draws: int) -> None:
    found, exact = choice.estimates(estimator, draws), choice.exact()
    for ours, theirs in zip(found[1:], exact[1:], strict=True):
        assert_mean(ours, theirs, resolution=RESOLUTION * theirs.abs().max().item(), magnitude=10.0)
    scale = max(found[0].std().item(), 1e-9)
    assert_mean(found[0], exact[0], resolution=RESOLUTION * scale, magnitude=10.0)


@pytest.mark.parametrize("choice", CHOICES, ids=lambda choice: choice.name)
def test_enumeration_is_exact(choice: Choice) -> None:
    for ours, theirs in zip(choice.estimates(Exact(), 2), choice.exact(), strict=True):
        torch.testing.assert_close(ours, theirs.expand_as(ours))


@pytest.mark.parametrize(("make", "choice"), [each for each in EACH if not isinstance(each.values[0](), Exact)])
def test_unbiased_estimators_have_the_exact_mean(make: Make, choice: Choice) -> None:
    with_enough_draws(lambda draws: assert_unbiased(make(), choice, draws), MOST_DRAWS)


def test_a_wrong_estimator_is_rejected() -> None:
    for choice in (CHOICES[1], CHOICES[3]):
        with pytest.raises(AssertionError, match="the mean of entry") as failure:
            with_enough_draws(lambda draws, choice=choice: assert_unbiased(WrongScore(), choice, draws), MOST_DRAWS)
        assert not isinstance(failure.value, Underpowered)


def test_the_score_function_family_takes_part() -> None:
    names = {type(param.values[0]()).__name__ for param in EACH}
    assert {"Exact", "IndeCateR", "LeaveOneOut", "RaoBlackwellScore", "Reinforce", "UnorderedSet"} <= names


@pytest.mark.parametrize(("make", "choice"), EACH)
def test_declared_evaluations_are_those_spent(make: Make, choice: Choice) -> None:
    spent = []

    def cost(z: Tensor) -> Tensor:
        spent.append(len(z))
        return choice.cost(z, choice.parameters)

    estimator = make()
    logits = choice.logits.expand(3, *choice.logits.shape).clone().requires_grad_()
    q = choice.distribution(logits)
    estimator(cost, q, seed=0).sum().backward()
    states = len(choice.states()[1])
    assert sum(spent) == estimator.evaluations(round(states ** (1 / choice.variables)), choice.variables)


EVERY = [
    pytest.param(make, choice, id=f"{label}-{choice.name}")
    for label, make in CASES
    for choice in (CHOICES[0], CHOICES[2])
    if takes(make, choice) and "proposal" not in label and not ("Nvil" in label and choice.family is PlackettLuce)
]
"""Also those with a bias, and those of a bound."""


@pytest.mark.parametrize(("make", "choice"), EVERY)
class TestCall:
    """What holds for one call, whatever is drawn, as for classes and bits."""

    def loss(
        self, make: Make, choice: Choice, batch: tuple[int, ...] = (5,), **options: object
    ) -> tuple[Tensor, Tensor]:
        logits = choice.logits.expand(*batch, *choice.logits.shape).clone().requires_grad_()
        q = choice.distribution(logits)
        q = Independent(q, 1, validate_args=False) if options.pop("wrapped", False) else q
        loss = make()(lambda z: choice.cost(z, choice.parameters), q, **options)
        found = torch.autograd.grad(loss.sum(), logits)[0] if loss.requires_grad else torch.zeros(())
        return loss.detach(), found

    def test_one_seed_gives_one_result(self, make: Make, choice: Choice) -> None:
        first, again, other = (self.loss(make, choice, seed=seed) for seed in (3, 3, 4))
        torch.testing.assert_close(again, first, rtol=0, atol=0)
        assert make().exact or not torch.equal(other[0], first[0])

    def test_all_randomness_is_the_generator_s(self, make: Make, choice: Choice) -> None:
        before = torch.get_rng_state()
        first, again = (self.loss(make, choice, generator=torch.Generator().manual_seed(2)) for _ in range(2))
        torch.testing.assert_close(again, first, rtol=0, atol=0)
        assert torch.equal(torch.get_rng_state(), before)

    def test_without_gradients_the_value_is_the_same(self, make: Make, choice: Choice) -> None:
        with torch.no_grad():
            quiet, _ = self.loss(make, choice, seed=3)
        torch.testing.assert_close(quiet, self.loss(make, choice, seed=3)[0])

    def test_independent_is_looked_through(self, make: Make, choice: Choice) -> None:
        torch.testing.assert_close(self.loss(make, choice, seed=3, wrapped=True), self.loss(make, choice, seed=3))

    def test_any_prefix_of_the_batch_may_share_a_cost(self, make: Make, choice: Choice) -> None:
        for batch in ((), (3,), (2, 3), (0,)):
            loss, found = self.loss(make, choice, batch, seed=3)
            assert loss.shape == batch
            assert found.shape == (*batch, *choice.logits.shape)
            assert bool(found.isfinite().all())


def test_many_states_are_no_obstacle_to_samples() -> None:
    for family in (KSubset, PlackettLuce):
        logits = torch.zeros(3, 200, requires_grad=True)
        loss = LeaveOneOut(samples=2)(lambda z: z[..., 0].float(), family(logits, 50), seed=0)
        (found,) = torch.autograd.grad(loss.sum(), logits)
        assert bool(found.isfinite().all())
        assert bool((found != 0).any())
