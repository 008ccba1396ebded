"""Formulas of the straight-through family against dense matrices, and their identities, state by state in float64."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from drawgrad.estimators import (
    ZGR,
    Darn,
    DecoupledSTGumbelSoftmax,
    GappedStraightThrough,
    GumbelRao,
    GumbelSoftmax,
    ReinMax,
    ReinMaxCV,
    ReinMaxRao,
    SlopeAnnealedStraightThrough,
    STGumbelSoftmax,
    StraightThrough,
)
from drawgrad.estimators._surrogate import StraightThroughEstimator
from drawgrad.estimators.rao_blackwell import midpoint
from drawgrad.estimators.straight_through import separated
from drawgrad.functional import conditional_gumbel, gumbel_max, gumbel_noise, gumbel_softmax
from drawgrad.variables import Binary, OneHot
from tests.estimators.by_state import codes, expected_gradient, state_gradients, variables
from tests.estimators.problems import GRID, Form, Problem
from tests.statistics import assert_mean

FORMS: tuple[Form, ...] = ("linear", "quadratic", "polynomial", "neural")
SIZES = [(2, 1, True), (2, 3, True), (2, 2, False), (3, 1, False), (3, 3, False), (10, 2, False)]


def problems(form: Form) -> list[Problem]:
    return [Problem(form, classes, variables_, binary) for classes, variables_, binary in SIZES]


def name(problem: Problem) -> str:
    return problem.name


def dense(p: Tensor) -> Tensor:
    return torch.diag(p) - torch.outer(p, p)


def gapped(logits: Tensor, hard: Tensor, gap: float) -> Tensor:
    winner = int(hard.argmax())
    top = logits.max()
    moved = [logits[j] - max(0.0, float(logits[j] - top + gap)) for j in range(len(logits))]
    moved[winner] = top
    return torch.stack(moved)


DENSE: list[tuple[StraightThroughEstimator, Callable[[Tensor, Tensor], Tensor]]] = [
    (StraightThrough(), lambda x, d: dense(x.softmax(0))),
    (SlopeAnnealedStraightThrough(tau=0.4), lambda x, d: dense((x / 0.4).softmax(0)) / 0.4),
    (GappedStraightThrough(tau=0.7, gap=1.3), lambda x, d: dense((gapped(x, d, 1.3) / 0.7).softmax(0)) / 0.7),
    (Darn(), lambda x, d: torch.outer(d - x.softmax(0), d - x.softmax(0))),
    (Darn(point="uniform"), lambda x, d: torch.outer(d - x.softmax(0), d - 1 / len(d))),
    (ZGR(), lambda x, d: 0.5 * dense(x.softmax(0)) + 0.5 * torch.outer(d - x.softmax(0), d - x.softmax(0))),
    (
        ReinMax(tau=1.4),
        lambda x, d: 2 * dense(0.5 * ((x / 1.4).softmax(0) + d)) - 0.5 * dense(x.softmax(0)),
    ),
]


class TestClosedForms:
    """The matrices of the papers, built one by one, times the gradient of the cost."""

    @pytest.mark.parametrize(("estimator", "matrix"), DENSE, ids=[str(estimator) for estimator, _ in DENSE])
    def test_categorical(self, estimator: StraightThroughEstimator, matrix: Callable[[Tensor, Tensor], Tensor]) -> None:
        problem = Problem("neural", 4, 2)
        z = problem.states().requires_grad_()
        (g,) = torch.autograd.grad(problem.cost(z, problem.parameters).sum(), z)
        expected = torch.stack(
            [
                torch.stack([matrix(problem.logits[n], z[s, n].detach()) @ g[s, n] for n in range(2)])
                for s in range(len(z))
            ]
        )
        torch.testing.assert_close(state_gradients(estimator, problem), expected, rtol=1e-12, atol=1e-12)

    @pytest.mark.parametrize(("estimator", "matrix"), DENSE, ids=[str(estimator) for estimator, _ in DENSE])
    def test_a_bernoulli_variable_is_one_of_two_classes(
        self, estimator: StraightThroughEstimator, matrix: Callable[[Tensor, Tensor], Tensor]
    ) -> None:
        for logit in (-3.0, -0.4, 0.0, 0.6, 2.5):
            for one in (False, True):
                pair = torch.tensor([logit, 0.0], dtype=torch.float64)
                hard = torch.tensor([float(one), 1.0 - one], dtype=torch.float64)
                expected = matrix(pair, hard)[0, 0] * 1.7
                logits = pair[:1].clone().requires_grad_()
                z = estimator.attach(Binary(logits), torch.tensor([one]), torch.tensor(0))
                (found,) = torch.autograd.grad(1.7 * z.sum(), logits)
                torch.testing.assert_close(found[0], expected, rtol=1e-12, atol=1e-12)

    def test_the_point_between_mean_and_sample(self) -> None:
        logits = torch.randn(50, 4, dtype=torch.float64)
        one_hot = OneHot(logits)
        code = torch.randint(4, (50,))
        expected = 0.5 * (one_hot.probs() + one_hot.sample_of(code))
        torch.testing.assert_close(midpoint(one_hot, code).probs(), expected, rtol=1e-13, atol=1e-13)
        binary = Binary(logits)
        bits = torch.rand(50, 4) < 0.5
        torch.testing.assert_close(
            midpoint(binary, bits).probs(), 0.5 * (binary.probs() + bits), rtol=1e-13, atol=1e-13
        )

    @pytest.mark.parametrize("gap", [0.0, 0.5, 2.0])
    def test_separated_logits_lead_by_the_gap(self, gap: float) -> None:
        logits = torch.randn(50, 4, dtype=torch.float64)
        code = torch.randint(4, (50,))
        moved = separated(OneHot(logits), code, gap)
        others = moved.scatter(-1, code[:, None], -torch.inf).amax(-1)
        lead = moved.gather(-1, code[:, None])[:, 0] - others
        assert bool((lead > gap - 1e-12).all())
        bits = torch.rand(50, 4) < 0.5
        assert bool((torch.where(bits, 1, -1) * separated(Binary(logits), bits, gap) >= gap - 1e-12).all())


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
        scores = conditional_gumbel(theta.detach(), code, seed=3, row_offset=50)
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


class TestIdentities:
    @pytest.mark.parametrize("problem", GRID, ids=name)
    def test_reinmax_is_zgr_is_the_mean_of_straight_through_and_darn(self, problem: Problem) -> None:
        zgr = state_gradients(ZGR(), problem)
        mean = 0.5 * (state_gradients(StraightThrough(), problem) + state_gradients(Darn(), problem))
        torch.testing.assert_close(state_gradients(ReinMax(tau=1.0), problem), zgr, rtol=1e-12, atol=1e-12)
        torch.testing.assert_close(mean, zgr, rtol=1e-12, atol=1e-12)
        assert not torch.allclose(state_gradients(ReinMax(tau=1.1), problem), zgr, atol=1e-6)

    @pytest.mark.parametrize("problem", [problem for problem in GRID if problem.binary], ids=name)
    def test_darn_about_one_half_is_zgr_for_bernoulli_variables(self, problem: Problem) -> None:
        uniform = state_gradients(Darn(point="uniform"), problem)
        torch.testing.assert_close(uniform, state_gradients(ZGR(), problem), rtol=1e-12, atol=1e-12)

    @pytest.mark.parametrize("problem", problems("quadratic"), ids=name)
    @pytest.mark.parametrize("estimator", [ReinMax(), ZGR()], ids=str)
    def test_second_order_estimators_are_exact_for_quadratic_costs(
        self, estimator: StraightThroughEstimator, problem: Problem
    ) -> None:
        exact = problem.exact().logits
        torch.testing.assert_close(expected_gradient(estimator, problem), exact, rtol=1e-12, atol=1e-12)

    @pytest.mark.parametrize("problem", problems("linear"), ids=name)
    @pytest.mark.parametrize("estimator", [StraightThrough(), Darn(), ReinMax(), ZGR()], ids=str)
    def test_first_order_estimators_are_exact_for_linear_costs(
        self, estimator: StraightThroughEstimator, problem: Problem
    ) -> None:
        exact = problem.exact().logits
        torch.testing.assert_close(expected_gradient(estimator, problem), exact, rtol=1e-12, atol=1e-12)

    @pytest.mark.parametrize(
        ("estimator", "form"),
        [
            (StraightThrough(), "quadratic"),
            (Darn(), "quadratic"),
            (ReinMax(tau=1.5), "quadratic"),
            (ReinMax(), "polynomial"),
            (ZGR(), "neural"),
        ],
        ids=str,
    )
    @pytest.mark.parametrize(("classes", "count", "binary"), [(2, 2, True), (3, 2, False)])
    def test_and_they_are_not_beyond(
        self, estimator: StraightThroughEstimator, form: Form, classes: int, count: int, binary: bool
    ) -> None:
        problem = Problem(form, classes, count, binary)
        exact = problem.exact().logits
        bias = (expected_gradient(estimator, problem) - exact).abs().max()
        assert bias > 0.02 * exact.abs().max()

    def test_darn_about_the_uniform_point_is_exact_for_quadratic_costs_of_bernoulli_variables_only(self) -> None:
        darn = Darn(point="uniform")
        for problem in problems("quadratic"):
            exact = problem.exact().logits
            bias = (expected_gradient(darn, problem) - exact).abs().max() / exact.abs().max()
            if problem.classes == 2:
                assert bias < 1e-12
            else:
                assert bias > 0.02

    def test_the_literal_formula_of_darn_is_zero_for_a_linear_cost(self) -> None:
        """The baseline f(z0) + f'(z0)(D - z0) without the correction: why the expansion is about the sample."""
        problem = Problem("linear", 3, 1)
        z, point = problem.states(), torch.full((1, 3), 1 / 3, dtype=torch.float64).requires_grad_()
        at_point = problem.cost(point, problem.parameters)
        (slope,) = torch.autograd.grad(at_point, point)
        rest = problem.cost(z, problem.parameters) - at_point - ((z - point) * slope).sum((-1, -2))
        assert rest.abs().max() < 1e-12
        assert problem.exact().logits.abs().max() > 0.1


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

    def test_blocks_of_noise_are_one_stream(self, monkeypatch: pytest.MonkeyPatch) -> None:
        whole = state_gradients(GumbelRao(conditional_samples=7), self.PROBLEM)
        monkeypatch.setattr("drawgrad.estimators.rao_blackwell.BLOCK", 2 * whole.numel())
        torch.testing.assert_close(state_gradients(GumbelRao(conditional_samples=7), self.PROBLEM), whole)


def test_codes_and_samples_are_inverse() -> None:
    for problem in GRID:
        states = problem.states()
        assert torch.equal(variables(problem, states.clone()).sample_of(codes(problem, states)), states)


@pytest.mark.parametrize("cls", [GumbelSoftmax, STGumbelSoftmax])
@pytest.mark.parametrize("problem", [Problem("linear", 8, 1), Problem("neural", 3, 2)], ids=name)
def test_the_variance_of_gumbel_softmax_grows_like_one_over_the_temperature(
    cls: type[GumbelSoftmax | STGumbelSoftmax], problem: Problem
) -> None:
    """And not like its square: the Jacobian is of size 1/tau, but only in a part tau of the draws."""
    draws = {tau: problem.estimates(cls(tau=tau), 200_000).logits.double() for tau in (0.05, 0.025)}
    centred = {tau: ((found - found.mean(0)) ** 2).flatten(1).sum(-1) for tau, found in draws.items()}
    ratio = (centred[0.025].mean() / centred[0.05].mean()).item()
    error = ratio * sum((c.std() / c.mean() / len(c) ** 0.5).item() ** 2 for c in centred.values()) ** 0.5
    # Five standard errors about 2 leave no room for 4, nor for 1.
    assert 5 * error < 0.3
    assert abs(ratio - 2) < 5 * error + 0.15
