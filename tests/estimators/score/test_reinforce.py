"""REINFORCE: its formula, its options, and distributions of any kind."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from scipy import stats
from torch import Tensor
from torch.distributions import (
    Bernoulli,
    Categorical,
    Distribution,
    Gamma,
    Independent,
    Normal,
    OneHotCategorical,
    Poisson,
)

from drawgrad.estimators import Estimator, LeaveOneOut, MovingAverage, Reinforce
from drawgrad.variables import variables_of
from tests.estimators.networks import flatter
from tests.estimators.orders import FarFromZero, assert_less_error
from tests.estimators.problems import Problem
from tests.statistics import assert_distribution, assert_frequencies, assert_mean

DRAWS = 20_000


class TestFormula:
    def test_is_cost_times_sample_less_mean(self) -> None:
        logits = torch.randn(6, 2, 3, dtype=torch.float64, requires_grad=True)
        seen = []

        def cost(z: Tensor) -> Tensor:
            seen.append(z)
            return (z * torch.arange(3.0)).sum((-1, -2)) ** 2

        loss = Reinforce(samples=4)(cost, OneHotCategorical(logits=logits), seed=1)
        (found,) = torch.autograd.grad(loss.sum(), logits)
        z = seen[0]
        expected = (cost(z)[..., None, None] * (z - logits.softmax(-1))).mean(0)
        torch.testing.assert_close(found, expected)
        torch.testing.assert_close(loss.detach(), cost(z).mean(0))

    def test_of_samples_from_elsewhere_is_weighted(self) -> None:
        logits = torch.randn(6, 2, 3, dtype=torch.float64, requires_grad=True)
        weights = torch.randn(3, dtype=torch.float64, requires_grad=True)
        q = OneHotCategorical(logits=logits)
        seen = []

        def cost(z: Tensor) -> Tensor:
            seen.append(z)
            return (z * weights).sum((-1, -2)) ** 2

        loss = Reinforce(samples=4, proposal=flatter)(cost, q, seed=1)
        found = torch.autograd.grad(loss.sum(), (logits, weights))
        z = seen[0]
        w = (q.log_prob(z) - flatter(q).log_prob(z)).sum(-1).exp().detach()
        torch.testing.assert_close(loss, (w * cost(z)).mean(0))
        expected = ((w * cost(z))[..., None, None] * (z - logits.softmax(-1))).mean(0)
        torch.testing.assert_close(found[0], expected.detach())
        torch.testing.assert_close(found[1], torch.autograd.grad((w * cost(z)).mean(0).sum(), weights)[0])

    def test_infinite_logits_give_finite_gradients(self) -> None:
        for estimator in (Reinforce(samples=50), LeaveOneOut(samples=50), Reinforce(samples=50, antithetic=True)):
            logits = torch.tensor([0.3, -torch.inf, 1.0]).requires_grad_()
            q = OneHotCategorical(logits=logits)
            (found,) = torch.autograd.grad(estimator(lambda z: z[..., 2], q, seed=1), logits)
            assert bool(found.isfinite().all())
            assert found[1] == 0
            assert found[2] != 0
            odds = torch.tensor([torch.inf, -torch.inf, 0.0]).requires_grad_()
            q = Bernoulli(logits=odds, validate_args=False)
            (found,) = torch.autograd.grad(estimator(lambda z: z.sum(-1), q, seed=1), odds)
            assert found[:2].tolist() == [0, 0]
            assert found[2] != 0


def poisson_square(estimator: Estimator) -> tuple[Tensor, float]:
    rate = torch.full((DRAWS,), 1.5, dtype=torch.float64, requires_grad=True)
    loss = estimator(lambda z: z.double() ** 2, Poisson(rate), seed=1)
    return torch.autograd.grad(loss.sum(), rate)[0], 1 + 2 * 1.5


def normal_square(estimator: Estimator) -> tuple[Tensor, Tensor]:
    loc = torch.full((DRAWS, 2), 0.5, dtype=torch.float64, requires_grad=True)
    scale = torch.full((DRAWS, 2), 0.8, dtype=torch.float64, requires_grad=True)
    q = Independent(Normal(loc, scale), 1)
    loss = estimator(lambda z: (z**2).sum(-1).detach(), q, seed=1)
    found = torch.stack(torch.autograd.grad(loss.sum(), (loc, scale)), 1)
    return found, torch.tensor([[1.0, 1.0], [1.6, 1.6]])


def categorical_index(estimator: Estimator) -> tuple[Tensor, Tensor]:
    logits = torch.tensor([0.3, -0.4, 0.1], dtype=torch.float64).expand(DRAWS, 3).clone().requires_grad_()
    loss = estimator(lambda z: z.double() ** 2, Categorical(logits=logits), seed=1)
    p = logits[0].detach().softmax(0)
    f = torch.arange(3.0).double() ** 2
    return torch.autograd.grad(loss.sum(), logits)[0], p * (f - p @ f)


class TestAnyDistribution:
    @pytest.mark.parametrize("estimator", [Reinforce(samples=8), LeaveOneOut(samples=8)], ids=["Reinforce", "LOO"])
    @pytest.mark.parametrize("gradient", [poisson_square, normal_square, categorical_index])
    def test_with_log_prob(
        self, estimator: Estimator, gradient: Callable[[Estimator], tuple[Tensor, Tensor | float]]
    ) -> None:
        found, exact = gradient(estimator)
        assert_mean(found, exact, resolution=0.2 * torch.as_tensor(exact).abs().max().item())

    def test_one_seed_gives_one_draw(self) -> None:
        q = Normal(torch.zeros(5), 1.0)
        first, again, other = (Reinforce()(lambda z: z, q, seed=seed) for seed in (1, 1, 2))
        assert torch.equal(first, again)
        assert not torch.equal(first, other)


def draw_opposite(q: Distribution, samples: int) -> Tensor:
    variable = variables_of(q).expand(samples // 2)
    return variable.sample_of(variable.draw_antithetic(torch.tensor(3)))


PAIRED: list[Callable[[], Distribution]] = [
    lambda: OneHotCategorical(logits=torch.tensor([0.3, -torch.inf, 1.0, -0.2]).expand(500, 4)),
    lambda: Bernoulli(logits=torch.tensor([0.3, -1.0, 2.0]).expand(500, 3)),
    lambda: Independent(Bernoulli(logits=torch.tensor([0.3, -1.0, 2.0]).expand(500, 3)), 1),
]


class TestAntithetic:
    @pytest.mark.parametrize("make", PAIRED)
    def test_each_sample_is_one_of_q(self, make: Callable[[], Distribution]) -> None:
        z = draw_opposite(make(), 200)
        for half in z.chunk(2):
            counts = half.sum((0, 1))
            if isinstance(make(), OneHotCategorical):
                assert_frequencies(counts, make().mean[0], resolution=0.02)
            else:
                p = torch.tensor([0.3, -1.0, 2.0]).sigmoid()
                pairs = torch.stack([counts, 100 * 500 - counts], -1)
                assert_frequencies(pairs, torch.stack([p, 1 - p], -1), resolution=0.02)

    def test_one_hot_pairs_differ_as_often_as_they_can(self) -> None:
        p = torch.tensor([0.7, 0.2, 0.1])
        one, other = draw_opposite(OneHotCategorical(probs=p.expand(500, 3)), 200).chunk(2)
        same = (one * other).sum((0, 1))
        assert same[1:].tolist() == [0, 0]
        assert_frequencies(torch.stack([same[0], 50_000 - same[0]]), torch.tensor([0.4, 0.6]), resolution=0.02)

    def test_normal_samples_mirror_each_other(self) -> None:
        q = Independent(Normal(torch.tensor([0.5, -2.0]), torch.tensor([1.0, 3.0])), 1)
        z = draw_opposite(q, 20_000)
        assert z.dtype == torch.float32
        one, other = z.chunk(2)
        torch.testing.assert_close(one + other, torch.tensor([1.0, -4.0]).expand_as(one), atol=1e-4, rtol=0)
        for half in (one, other):
            assert_distribution((half[:, 1] + 2) / 3, stats.norm.cdf, resolution=0.05)

    def test_pairs_of_even_odds_are_exact_for_one_variable(self) -> None:
        logits = torch.zeros(50, requires_grad=True)
        loss = Reinforce(samples=2, antithetic=True)(lambda z: 3 * z + 100, Bernoulli(logits=logits), seed=1)
        (found,) = torch.autograd.grad(loss.sum(), logits)
        torch.testing.assert_close(found, torch.full((50,), 0.75))
        torch.testing.assert_close(loss.detach(), torch.full((50,), 101.5))

    @pytest.mark.parametrize("problem", [FarFromZero("neural", 3, 2), FarFromZero("neural", 2, 2, binary=True)])
    def test_has_less_variance_for_a_cost_far_from_zero(self, problem: Problem) -> None:
        assert_less_error(problem, Reinforce(samples=2, antithetic=True), Reinforce(samples=2))

    def test_and_more_for_a_cost_that_is_alike_on_opposite_sides(self) -> None:
        """Two variables that agree or do not: the opposite pair says the same again."""

        def errors(estimator: Estimator) -> Tensor:
            logits = torch.zeros(4000, 2, dtype=torch.float64, requires_grad=True)
            loss = estimator(lambda z: (z[..., 0] - z[..., 1]) ** 2 - 0.5, Bernoulli(logits=logits), seed=1)
            return torch.autograd.grad(loss.sum(), logits)[0].square().sum(-1)

        plain, paired = errors(Reinforce(samples=4)), errors(Reinforce(samples=4, antithetic=True))
        # The exact gradient is zero here; the odd score meets an even cost and cancels.
        assert paired.max() == 0
        assert plain.mean() > 0

    def test_takes_an_even_number_and_a_distribution_that_can_be_inverted(self) -> None:
        with pytest.raises(ValueError, match=r"samples must be even with antithetic=True.* is 3; use samples=4"):
            Reinforce(samples=3, antithetic=True)
        q = Gamma(torch.ones(3), torch.ones(3))
        with pytest.raises(TypeError, match=r"with icdf, but q is a Gamma; use antithetic=False"):
            Reinforce(samples=2, antithetic=True)(lambda z: z.sum(-1), q)

    def test_works_with_a_proposal_and_a_baseline(self) -> None:
        problem = Problem("neural", 3, 2)
        estimator = Reinforce(MovingAverage(), samples=4, antithetic=True, proposal=flatter)
        found = problem.estimates(estimator, DRAWS)
        assert_mean(found.logits, problem.exact().logits, resolution=0.2 * problem.exact().logits.abs().max().item())
        assert_mean(found.value, problem.exact().value, resolution=0.2 * found.value.std().item())


class TestProposal:
    def test_has_less_variance_for_a_cost_that_hangs_on_a_rare_sample(self) -> None:
        def errors(estimator: Estimator) -> Tensor:
            logits = torch.full((40_000,), -5.0, dtype=torch.float64, requires_grad=True)
            loss = estimator(lambda z: 100 * z, Bernoulli(logits=logits), seed=1)
            p = torch.tensor(-5.0).double().sigmoid()
            return (torch.autograd.grad(loss.sum(), logits)[0] - 100 * p * (1 - p)) ** 2

        often = Reinforce(proposal=lambda q: Bernoulli(logits=torch.zeros_like(q.logits)))
        plain, weighted = errors(Reinforce()), errors(often)
        error = torch.sqrt((plain.var() + weighted.var()) / 40_000)
        assert plain.mean() - weighted.mean() > 5 * error

    def test_errors(self) -> None:
        q = Bernoulli(logits=torch.zeros(4))
        with pytest.raises(TypeError, match="proposal must return a distribution, but it returned Tensor"):
            Reinforce(proposal=lambda q: q.logits)(lambda z: z, q)
        with pytest.raises(ValueError, match=r"q's shape, batch \(4,\) and event \(\), but it returned batch \(3,\)"):
            Reinforce(proposal=lambda q: Bernoulli(logits=torch.zeros(3)))(lambda z: z, q)


def test_samples_and_options_are_checked() -> None:
    with pytest.raises(ValueError, match="samples must be at least 1"):
        Reinforce(samples=0)
    with pytest.raises(TypeError, match="antithetic must be True or False"):
        Reinforce(antithetic=1)
    with pytest.raises(TypeError, match=r"baseline must be a Baseline object such as .*, but it is 'mean' .str."):
        Reinforce("mean")
    assert repr(Reinforce(samples=2, antithetic=True)).startswith("Reinforce(\n  samples=2, antithetic=True")
