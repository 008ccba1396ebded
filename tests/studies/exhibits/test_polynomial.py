"""Polynomial programming with binary variables."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from drawgrad.estimators import ReinMax, StraightThrough
from drawgrad.studies.exhibits.polynomial import ESTIMATORS, Polynomial, optimum, train_polynomial


@pytest.mark.parametrize(
    ("power", "start", "least"), [(1.5, 0.3549, 0.3019), (2.0, 0.2525, 0.2025), (3.0, 0.1288, 0.0911)]
)
def test_start_and_optimum_are_the_known_ones(power: float, start: float, least: float) -> None:
    curves = train_polynomial(None, power, steps=3, runs=2, every=2)
    assert curves.steps.tolist() == [0, 2, 3]
    assert curves.values.shape == (3, 2)
    assert float(curves.values[0].mean()) == pytest.approx(start, abs=1e-4)
    assert optimum(power) == pytest.approx(least, abs=5e-5)


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
    first, again, other = (train_polynomial(ReinMax(), 2.0, steps=20, runs=3, seed=seed).values for seed in (1, 1, 2))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    assert len(first[-1].unique()) == 3


def test_the_page_has_a_row_for_each_estimator(tmp_path: Path) -> None:
    told: list[str] = []
    recipe = Polynomial(runs=2, steps=2, powers=(2.0, 3.0))
    page = recipe.page(json.loads(json.dumps(recipe.run(0, tmp_path, told.append))))
    assert [row[0] for row in page.rows] == ["at the start", *ESTIMATORS, "optimum"]
    assert {len(row) for row in page.rows} == {3}
    assert told[:2] == ["p = 2, exact gradient", "p = 2, straight-through"]
    assert len(told) == 2 * len(ESTIMATORS)


def test_mistakes() -> None:
    with pytest.raises(ValueError, match="runs must be at least 2"):
        Polynomial(runs=1)
    with pytest.raises(ValueError, match="batch must be at least 1"):
        train_polynomial(None, 2.0, batch=0)
