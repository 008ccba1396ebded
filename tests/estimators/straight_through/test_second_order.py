"""Closed forms of the straight-through estimators, and the identities between them."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from drawgrad.estimators import (
    ZGR,
    Darn,
    GappedStraightThrough,
    ReinMax,
    SlopeAnnealedStraightThrough,
    StraightThrough,
    StraightThroughEstimator,
)
from drawgrad.estimators.straight_through.first_order import separated
from drawgrad.estimators.straight_through.gumbel_rao import midpoint
from drawgrad.variables import Binary, OneHot
from tests.estimators.by_state import codes, expected_gradient, state_gradients, variables
from tests.estimators.problems import GRID, Form, Problem

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


def test_codes_and_samples_are_inverse() -> None:
    for problem in GRID:
        states = problem.states()
        assert torch.equal(variables(problem, states.clone()).sample_of(codes(problem, states)), states)
