"""Polynomial programming with binary variables."""

from __future__ import annotations

import pytest
import torch

from drawgrad.estimators import ReinMax, StraightThrough
from drawgrad.studies.polynomial import ESTIMATORS, over_runs, polynomial, train_polynomial


@pytest.mark.parametrize(
    ("power", "start", "optimum"), [(1.5, 0.3549, 0.3019), (2.0, 0.2525, 0.2025), (3.0, 0.1288, 0.0911)]
)
def test_start_and_optimum_are_the_known_ones(power: float, start: float, optimum: float) -> None:
    curves = train_polynomial(None, power, steps=3, runs=2, every=2)
    assert curves.steps.tolist() == [0, 2, 3]
    assert curves.cost.shape == (3, 2)
    assert float(curves.cost[0].mean()) == pytest.approx(start, abs=1e-4)
    assert curves.optimum == pytest.approx(optimum, abs=5e-5)


def test_reinmax_follows_the_exact_gradient_and_straight_through_stands_still() -> None:
    # A high rate: 300 steps instead of thousands.
    costs = {
        estimator: train_polynomial(estimator, 2.0, steps=300, runs=3, batch=16, lr=0.02).final
        for estimator in (None, ReinMax(), StraightThrough())
    }
    exact, reinmax, stuck = costs.values()
    assert exact.value < 0.207
    assert reinmax.value < 0.22
    # P(b = 1) = t
    assert abs(stuck.value - 0.45 * 0.55) < 0.002


def test_runs_are_independent_and_repeatable() -> None:
    first, again, other = (train_polynomial(ReinMax(), 2.0, steps=20, runs=3, seed=seed).cost for seed in (1, 1, 2))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    assert len(first[-1].unique()) == 3


def test_mean_and_error_over_runs() -> None:
    found = over_runs(torch.tensor([1.0, 3.0], dtype=torch.float64))
    assert (found.value, found.error) == (2.0, pytest.approx(1.0))


def test_the_exhibit_has_a_row_for_each_estimator() -> None:
    told: list[str] = []
    exhibit = polynomial(runs=2, steps=2, powers=(2.0, 3.0), listener=told.append)
    assert [row[0] for row in exhibit.rows] == ["at the start", *ESTIMATORS, "optimum"]
    assert {len(row) for row in exhibit.rows} == {3}
    assert len(told) == 2 * len(ESTIMATORS)


@pytest.mark.parametrize(
    ("options", "message"), [({"runs": 1}, "runs must be at least 2"), ({"steps": 0}, "steps must")]
)
def test_mistakes(options: dict[str, int], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        polynomial(**options)
