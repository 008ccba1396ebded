"""What DoubleCV and RODEO have in common: their control variates have mean zero, and learn."""

from __future__ import annotations

import pytest
import torch

from drawgrad.estimators import DoubleCV, Exact, LeaveOneOut, Reinforce, Rodeo
from drawgrad.estimators.control_variate.crossed import CrossedEstimator
from tests.estimators.control_variate.crossings import expected_control
from tests.estimators.orders import assert_less_error
from tests.estimators.problems import Problem

PROBLEMS = [Problem("neural", 3, 2), Problem("polynomial", 2, 3, binary=True), Problem("neural", 5, 1)]
OWN = [
    DoubleCV(alpha=0.8),
    DoubleCV(samples=3, alpha=0.8),
    Rodeo(alpha=1.0, beta=0.0, hidden=4),
    Rodeo(alpha=0.0, beta=1.0, hidden=4),
    Rodeo(samples=3, alpha=0.7, beta=-1.0, hidden=4),
]


@pytest.mark.parametrize("problem", PROBLEMS, ids=lambda problem: problem.name)
@pytest.mark.parametrize("estimator", OWN, ids=lambda each: f"{each} {getattr(each, 'beta', None)}")
class TestControl:
    def test_has_mean_zero(self, estimator: CrossedEstimator, problem: Problem) -> None:
        mean, largest = expected_control(estimator, problem)
        assert largest > 1e-3
        assert mean.abs().max() < 1e-10 * largest

    def test_has_it_for_these_probabilities_alone(self, estimator: CrossedEstimator, problem: Problem) -> None:
        states = len(problem.states())
        mean, largest = expected_control(estimator, problem, torch.full((states,), 1 / states, dtype=torch.float64))
        assert mean.abs().max() > 1e-4 * largest


@pytest.mark.parametrize("estimator", [DoubleCV(), Rodeo(hidden=20)], ids=lambda each: type(each).__name__)
def test_begins_as_leave_one_out_and_learns_to_vary_less(estimator: CrossedEstimator) -> None:
    problem = Problem("quadratic", 2, 3, binary=True)
    ours, theirs = (problem.estimates(each, 20, seed=5).logits for each in (estimator, LeaveOneOut()))
    torch.testing.assert_close(ours, theirs)
    optimizer = torch.optim.Adam(estimator.parameters(), lr=0.03)
    logits = problem.logits.expand(200, 3).clone().requires_grad_()
    for seed in range(60):
        optimizer.zero_grad()
        loss = estimator(lambda z: problem.cost(z, problem.parameters), problem.distribution(logits), seed=seed)
        # As a reward that is maximized: little variance is wanted as well.
        (-loss.mean()).backward()
        optimizer.step()
    assert_less_error(problem, estimator, LeaveOneOut())


@pytest.mark.parametrize("make", [DoubleCV, Rodeo])
class TestCall:
    def test_takes_two_samples_at_least(self, make: type[CrossedEstimator]) -> None:
        with pytest.raises(ValueError, match="samples must be"):
            make(samples=1)

    def test_weights_broadcast_to_the_loss(self, make: type[CrossedEstimator]) -> None:
        problem = PROBLEMS[0]
        logits = problem.logits.expand(4, 3, *problem.logits.shape).clone().requires_grad_()
        q = problem.distribution(logits)
        loss = make(alpha=torch.ones(4, 1))(lambda z: problem.cost(z, problem.parameters), q, seed=1)
        assert loss.shape == (4, 3)
        with pytest.raises(ValueError, match="alpha must broadcast to the loss"):
            make(alpha=torch.ones(5))(lambda z: problem.cost(z, problem.parameters), q, seed=1)

    def test_a_cost_that_is_not_finite_reaches_no_parameter(self, make: type[CrossedEstimator]) -> None:
        estimator = make(alpha=0.5)
        logits = torch.zeros(50, 2, requires_grad=True)
        q = PROBLEMS[1].distribution(logits)
        loss = estimator(lambda z: z.sum(-1) / z[..., 0], q, seed=1)
        loss.sum().backward()
        assert not bool(loss.isfinite().all())
        for parameter in estimator.parameters():
            assert parameter.grad is not None
            assert bool(parameter.grad.isfinite().all())

    def test_leaves_the_cost_s_own_gradient_alone(self, make: type[CrossedEstimator]) -> None:
        problem = PROBLEMS[0]
        found, expected = (
            problem.estimates(each, 30, seed=2).parameters for each in (make(alpha=1.0), Reinforce(samples=2))
        )
        torch.testing.assert_close(found, expected)

    def test_of_a_single_class_is_exact(self, make: type[CrossedEstimator]) -> None:
        problem = Problem("quadratic", 1, 2)
        torch.testing.assert_close(problem.estimates(make(alpha=1.0), 3).logits, problem.estimates(Exact(), 3).logits)
