"""The pathwise estimator, against expectations that are known in closed form."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.distributions import Beta, Distribution, Gamma, Independent, Laplace, Normal

from drawgrad.distributions import RelaxedOneHotCategorical
from drawgrad.estimators import GumbelSoftmax, Pathwise, StraightThrough
from tests.estimators.scores import PlainScore
from tests.statistics import assert_mean

DRAWS = 60_000


def leaf(value: float) -> Tensor:
    return torch.full((DRAWS,), value, dtype=torch.float64, requires_grad=True)


class TestGradient:
    def test_of_a_normal_distribution(self) -> None:
        loc, scale = leaf(0.4), leaf(1.3)
        weight = leaf(0.7)
        loss = Pathwise(samples=2)(lambda z: weight * z**2, Normal(loc, scale), seed=1)
        found = torch.autograd.grad(loss.sum(), (loc, scale, weight))
        # E[w z^2] = w (m^2 + s^2)
        assert_mean(loss, 0.7 * (0.4**2 + 1.3**2), resolution=0.1)
        assert_mean(found[0], 2 * 0.7 * 0.4, resolution=0.1)
        assert_mean(found[1], 2 * 0.7 * 1.3, resolution=0.1)
        assert_mean(found[2], 0.4**2 + 1.3**2, resolution=0.1)

    def test_that_is_implicit(self) -> None:
        shape, a = leaf(1.7), leaf(0.8)
        (found,) = torch.autograd.grad(Pathwise()(lambda z: z**2, Gamma(shape, 2.0), seed=1).sum(), shape)
        # E[z^2] = shape (shape + 1) / rate^2
        assert_mean(found, (2 * 1.7 + 1) / 4, resolution=0.1)
        (found,) = torch.autograd.grad(Pathwise()(lambda z: z, Beta(a, 1.5), seed=1).sum(), a)
        # E[z] = a / (a + b)
        assert_mean(found, 1.5 / 2.3**2, resolution=0.02)

    def test_of_a_cost_with_a_jump_is_wrong_where_the_score_function_is_right(self) -> None:
        """P(z > 0) and its derivative: the pathwise gradient of a step is zero, so that claim has its limits."""
        loc = leaf(0.5)
        step = lambda z: (z > 0).double() + 0 * z  # noqa: E731
        density = torch.exp(Normal(0.0, 1.0).log_prob(torch.tensor(0.5))).item()
        (score,) = torch.autograd.grad(PlainScore()(step, Normal(loc, 1.0), seed=1).sum(), loc)
        assert_mean(score, density, resolution=0.05)
        (pathwise,) = torch.autograd.grad(Pathwise()(step, Normal(loc, 1.0), seed=1).sum(), loc)
        with pytest.raises(AssertionError, match="the mean of entry"):
            assert_mean(pathwise, density, resolution=0.05)

    def test_its_samples_carry_it(self) -> None:
        loc, pairs = torch.zeros(4, requires_grad=True), {"a": Normal(torch.zeros(4), 1.0), "b": Laplace(0.0, 1.0)}
        z = Pathwise(samples=3).rsample(Normal(loc, 1.0), seed=1)
        seen: list[Tensor] = []
        Pathwise(samples=3)(lambda z: seen.append(z) or z, Normal(loc, 1.0), seed=1)
        assert torch.equal(z, seen[0])
        assert torch.autograd.grad(z.sum(), loc)[0].tolist() == [3.0] * 4
        assert {name: tuple(each.shape) for name, each in Pathwise().rsample(pairs).items()} == {"a": (1, 4), "b": (1,)}

    def test_of_variables_that_share_a_cost(self) -> None:
        loc = torch.zeros(5, 3, requires_grad=True)
        for q in (Laplace(loc, 1.0), Independent(Laplace(loc, 1.0), 1)):
            loss = Pathwise(samples=7)(lambda z: (z * torch.tensor([1.0, 2.0, 3.0])).sum(-1), q, seed=1)
            assert loss.shape == (5,)
            (found,) = torch.autograd.grad(loss.sum(), loc)
            torch.testing.assert_close(found, torch.tensor([1.0, 2.0, 3.0]).expand(5, 3))

    def test_inside_a_discrete_expectation(self) -> None:
        """A mixture whose component is drawn by a score function, and its value along a path."""
        logits = torch.zeros(DRAWS, 2, dtype=torch.float64, requires_grad=True)
        means = leaf(1.5)

        def cost(z: Tensor) -> Tensor:
            return Pathwise()(lambda x: x**2, Normal(means * (2 * z[..., 0] - 1), 0.5), seed=2)

        loss = PlainScore()(cost, torch.distributions.OneHotCategorical(logits=logits), seed=1)
        found = torch.autograd.grad(loss.sum(), (logits, means))
        assert_mean(found[0], 0.0, resolution=0.1)
        assert_mean(found[1], 2 * 1.5, resolution=0.1)


class TestRandomness:
    Q = Gamma(torch.ones(4), torch.ones(4))

    def value(self, **source: object) -> Tensor:
        return Pathwise(samples=3)(lambda z: z.sum(-1), self.Q, **source)  # type: ignore[arg-type]

    def test_is_the_seed_s(self) -> None:
        assert torch.equal(self.value(seed=3), self.value(seed=3))
        assert not torch.equal(self.value(seed=3), self.value(seed=4))
        assert torch.equal(self.value(seed=torch.tensor(3)), self.value(seed=3))

    def test_is_the_generator_s(self) -> None:
        first = self.value(generator=torch.Generator().manual_seed(5))
        torch.manual_seed(99)
        assert torch.equal(self.value(generator=torch.Generator().manual_seed(5)), first)

    def test_leaves_the_default_generator_alone(self) -> None:
        state = torch.get_rng_state()
        self.value(seed=3)
        assert torch.equal(torch.get_rng_state(), state)

    def test_follows_the_default_generator(self) -> None:
        torch.manual_seed(1)
        first, second = self.value(), self.value()
        torch.manual_seed(1)
        assert torch.equal(self.value(), first)
        assert not torch.equal(first, second)


def test_of_a_relaxed_distribution_is_the_gumbel_softmax_estimator() -> None:
    logits = torch.tensor([0.3, -0.8, 0.1], dtype=torch.float64).expand(DRAWS, 3).clone().requires_grad_()
    cost = lambda y: (y**2 * torch.tensor([1.0, -2.0, 0.5])).sum(-1)  # noqa: E731
    relaxed: Distribution = RelaxedOneHotCategorical(torch.tensor(0.6, dtype=torch.float64), logits=logits)
    (one,) = torch.autograd.grad(Pathwise()(cost, relaxed, seed=1).sum(), logits)
    q = torch.distributions.OneHotCategorical(logits=logits)
    (other,) = torch.autograd.grad(GumbelSoftmax(tau=0.6)(cost, q, seed=2).sum(), logits)
    assert_mean(one - other, 0.0, resolution=0.02)


def test_straight_through_distributions_carry_their_own_bias() -> None:
    logits = torch.randn(5, 3, requires_grad=True)
    cost = lambda z: (z * torch.arange(3.0)).sum(-1)  # noqa: E731
    gradients = []
    for estimator in (Pathwise(), StraightThrough()):
        q = torch.distributions.OneHotCategoricalStraightThrough(logits=logits)
        gradients.append(torch.autograd.grad(estimator(cost, q, seed=1).sum(), logits)[0])
    torch.testing.assert_close(*gradients)
