"""Estimators that average over conditional noise: which noise it is, and what that gains."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from drawgrad.estimators import (
    ZGR,
    DecoupledSTGumbelSoftmax,
    GumbelRao,
    ReinMax,
    ReinMaxCV,
    ReinMaxRao,
    STGumbelSoftmax,
    StraightThroughEstimator,
)
from drawgrad.functional import conditional_gumbel, fold_seed, gumbel_max, gumbel_noise, gumbel_softmax
from drawgrad.variables import Binary, OneHot
from tests.estimators.by_state import state_gradients
from tests.estimators.problems import Problem
from tests.statistics import assert_mean


def name(problem: Problem) -> str:
    return problem.name


def dense(p: Tensor) -> Tensor:
    return torch.diag(p) - torch.outer(p, p)


class TestNoiseOfTheBackwardPass:
    """What the backward pass draws again is the noise of the forward pass."""

    def test_decoupled_temperatures(self) -> None:
        logits = torch.randn(50, 4, dtype=torch.float64, requires_grad=True)
        estimator = DecoupledSTGumbelSoftmax(forward_tau=0.5, backward_tau=2.0)
        z = estimator.surrogate(OneHot(logits), torch.tensor(3))
        noise = gumbel_noise(logits.shape, dtype=torch.float64, seed=3)
        y = (logits / 2.0 + noise).softmax(-1)
        g = torch.randn(50, 4, dtype=torch.float64)
        assert torch.equal(z.argmax(-1), (logits / 0.5 + noise).argmax(-1))
        (found,) = torch.autograd.grad((z * g).sum(), logits)
        (expected,) = torch.autograd.grad((y * g).sum(), logits)
        torch.testing.assert_close(found, expected)

    def test_equal_temperatures_of_one_are_the_coupled_estimator(self) -> None:
        for problem in (Problem("neural", 3, 2), Problem("neural", 2, 2, binary=True)):
            found = problem.estimates(DecoupledSTGumbelSoftmax(), 100)
            expected = problem.estimates(STGumbelSoftmax(tau=1.0), 100)
            torch.testing.assert_close(found.logits, expected.logits)
            assert torch.equal(found.value, expected.value)

    def test_the_relaxed_control_takes_the_sample_s_own_relaxation(self) -> None:
        logits = torch.randn(50, 4, dtype=torch.float64, requires_grad=True)
        g = torch.randn(50, 4, dtype=torch.float64)

        def gradient(eta: float) -> Tensor:
            estimator = ReinMaxCV(eta=eta, tau=0.8, conditional_samples=1, control="relaxed")
            return torch.autograd.grad((estimator.surrogate(OneHot(logits), torch.tensor(3)) * g).sum(), logits)[0]

        code = gumbel_max(logits, seed=3)
        hard = torch.nn.functional.one_hot(code, 4).double()
        theta = (0.5 * (logits.softmax(-1) + hard)).log().detach().requires_grad_()
        relaxed = gumbel_softmax(logits.detach(), tau=0.8, seed=3)
        scores = conditional_gumbel(theta.detach(), code, seed=fold_seed(3, 1))
        rao = ((theta + (scores - theta.detach())) / 0.8).softmax(-1)
        single = (theta + relaxed).softmax(-1) / 0.8
        (difference,) = torch.autograd.grad(((rao - single) * g).sum(), theta)
        torch.testing.assert_close(gradient(0.9) - gradient(0.0), 0.9 * difference)

    def test_the_relaxed_control_of_a_bernoulli_variable_is_that_of_two_classes(self) -> None:
        logits, y = torch.randn(20, dtype=torch.float64), torch.rand(20, dtype=torch.float64)
        pair = OneHot(torch.stack([logits, torch.zeros_like(logits)], -1))
        two = pair.squash(pair.logits + torch.stack([y, 1 - y], -1))[:, 0]
        binary = Binary(logits)
        torch.testing.assert_close(binary.squash(logits + binary.from_scores(binary.by_state(y))), two)


class TestRaoBlackwell:
    PROBLEM = Problem("quadratic", 3, 1)
    COPIES = 40_000

    def by_state(self, estimator: StraightThroughEstimator) -> Tensor:
        """Conditional draws, shape ``(copies, states, *logits)``."""
        return state_gradients(estimator, self.PROBLEM, self.COPIES).unflatten(0, (-1, self.COPIES)).transpose(0, 1)

    def test_gumbel_rao_becomes_zgr_at_temperature_zero(self) -> None:
        draws = self.by_state(GumbelRao(tau=0.01, conditional_samples=8))
        assert_mean(draws, state_gradients(ZGR(), self.PROBLEM), resolution=0.1)

    def test_and_is_not_zgr_at_temperature_one(self) -> None:
        draws = self.by_state(GumbelRao(tau=1.0, conditional_samples=8))
        with pytest.raises(AssertionError, match="the mean of entry"):
            assert_mean(draws, state_gradients(ZGR(), self.PROBLEM), resolution=0.1)

    def test_the_distance_falls_with_the_temperature(self) -> None:
        zgr = state_gradients(ZGR(), self.PROBLEM)
        distance, error = [], []
        for tau in (1.0, 0.5, 0.1):
            draws = self.by_state(GumbelRao(tau=tau, conditional_samples=8))
            distance.append((draws.mean(0) - zgr).abs().max().item())
            error.append(draws.std(0).max().item() / self.COPIES**0.5)
        # Five standard errors of a difference: a false alarm in 3 of 10 million.
        assert distance[0] - distance[1] > 5 * (error[0] + error[1])
        assert distance[1] - distance[2] > 5 * (error[1] + error[2])

    @pytest.mark.parametrize("tau", [1.0, 0.3])
    @pytest.mark.parametrize("problem", [Problem("neural", 3, 2), Problem("neural", 2, 2, binary=True)], ids=name)
    def test_has_the_mean_of_st_gumbel_softmax_and_less_variance(self, problem: Problem, tau: float) -> None:
        plain = problem.estimates(STGumbelSoftmax(tau=tau), 60_000, seed=1).logits
        rao = problem.estimates(GumbelRao(tau=tau, conditional_samples=20), 60_000, seed=2).logits
        scale = plain.abs().mean().item()
        assert_mean(rao - plain, 0.0, resolution=0.3 * scale)
        exact = problem.exact().logits
        # A whole gradient is one draw of the squared error.
        error = lambda found: ((found - exact) ** 2).flatten(1).sum(-1)  # noqa: E731
        gain = (error(plain) - error(rao)) / error(plain).mean()
        assert gain.mean() > 5 * gain.std() / len(gain) ** 0.5

    def test_one_conditional_draw_is_st_gumbel_softmax_in_distribution(self) -> None:
        problem = Problem("neural", 3, 2)
        plain = problem.estimates(STGumbelSoftmax(tau=0.5), 60_000, seed=1).logits
        rao = problem.estimates(GumbelRao(tau=0.5, conditional_samples=1), 60_000, seed=2).logits
        scale = (plain**2).mean().item()
        assert_mean(rao**2 - plain**2, 0.0, resolution=0.4 * scale)

    def test_reinmax_rao_takes_its_first_jacobian_half_way(self) -> None:
        """The mean over conditional noise, by plain operations at log((pi + D) / 2)."""
        problem, tau = self.PROBLEM, 0.6
        found = self.by_state(ReinMaxRao(tau=tau, conditional_samples=4))
        z = problem.states().requires_grad_()
        (g,) = torch.autograd.grad(problem.cost(z, problem.parameters).sum(), z)
        expected = []
        for state in range(len(z)):
            hard, pi = z[state, 0].detach(), problem.logits[0].softmax(0)
            theta = (0.5 * (pi + hard)).log().expand(300_000, 3)
            scores = conditional_gumbel(theta, hard.argmax().expand(300_000), seed=state)
            y = (scores / tau).softmax(-1)
            first = (y * g[state, 0] - y * (y @ g[state, 0])[:, None]).mean(0) / tau
            expected.append(2 * first - 0.5 * dense(pi) @ g[state, 0])
        assert_mean(found[:, :, 0], torch.stack(expected), resolution=0.1)

    def test_reinmax_cv_has_the_mean_of_reinmax_and_more_variance(self) -> None:
        cv = self.by_state(ReinMaxCV(control="conditional", conditional_samples=5))
        assert_mean(cv, state_gradients(ReinMax(), self.PROBLEM), resolution=0.1)
        assert bool((cv.var(0).sum((-1, -2)) > 1e-3).all())  # where ReinMax, a function of the state, has none

    def test_reinmax_cv_with_a_relaxed_control_trades_variance_for_bias(self) -> None:
        problem = Problem("quadratic", 3, 2)
        exact = problem.exact().logits
        plain = problem.estimates(ReinMax(), 60_000).logits
        relaxed = problem.estimates(ReinMaxCV(control="relaxed", tau=0.5, eta=1.0), 60_000).logits
        gain = ((plain - exact) ** 2 - (relaxed - exact) ** 2).flatten(1).sum(-1)
        # Five standard errors: a false alarm in 3 of 10 million.
        assert gain.mean() > 5 * gain.std() / len(gain) ** 0.5
        with pytest.raises(AssertionError, match="the mean of entry"):
            assert_mean(relaxed, exact, resolution=0.2 * exact.abs().max().item())

    def test_reinmax_rao_is_biased_where_reinmax_is_exact(self) -> None:
        problem = Problem("linear", 3, 2)
        exact = problem.exact().logits
        with pytest.raises(AssertionError, match="the mean of entry"):
            assert_mean(
                problem.estimates(ReinMaxRao(), 60_000).logits, exact, resolution=0.2 * exact.abs().max().item()
            )

    def test_blocks_of_noise_are_independent(self, monkeypatch: pytest.MonkeyPatch) -> None:
        estimator = GumbelRao(conditional_samples=2)
        logits = torch.randn(4, 3, dtype=torch.float64)
        index, grad, seed = torch.tensor([0, 1, 2, 0]), torch.randn(4, 3, dtype=torch.float64), torch.tensor(5)
        monkeypatch.setattr("drawgrad.estimators.straight_through.gumbel_rao.BLOCK", logits.numel())
        found = estimator.pullback(OneHot(logits), index, grad, seed)
        each = []
        for number in range(2):
            noise = fold_seed(seed, 1)
            noise = fold_seed(fold_seed(noise, -1), number) if number else noise
            leaf = logits.clone().requires_grad_()
            y = (leaf + (conditional_gumbel(logits, index, seed=noise) - logits)).softmax(-1)
            each.append(torch.autograd.grad((y * grad).sum(), leaf)[0])
        assert not torch.allclose(each[0], each[1])
        torch.testing.assert_close(found, (each[0] + each[1]) / 2)
