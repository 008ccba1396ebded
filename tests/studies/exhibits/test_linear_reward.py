"""The linear reward: variances that are known, and how they fall."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from drawgrad.diagnostics import Estimate
from drawgrad.studies.exhibits.linear_reward import ESTIMATORS, LinearReward, Measured, measure
from drawgrad.studies.exhibits.points import log_slope

TRIALS = 2000


@pytest.fixture(scope="module")
def found() -> Measured:
    return measure(0, TRIALS, (2, 8, 32))


class TestMeasurement:
    def test_of_reinforce_is_the_exact_variance(self, found: Measured) -> None:
        logits = torch.randn(8, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
        pi, rewards = logits.softmax(0), torch.linspace(0, 1, 8, dtype=torch.float64)
        gradients = rewards[:, None] * (torch.eye(8) - pi)
        mean = (pi[:, None] * gradients).sum(0)
        exact = float((pi * (gradients - mean).square().sum(1)).sum())
        for count, variance in found.variances("REINFORCE").items():
            assert abs(variance.value - exact / count) < 5 * variance.error < 0.5 * exact / count

    @pytest.mark.parametrize("name", [name for name in ESTIMATORS if name not in ("straight-through", "leave-one-out")])
    def test_falls_with_slope_minus_one(self, found: Measured, name: str) -> None:
        slope = log_slope(found.variances(name))
        assert abs(slope.value + 1) < 5 * slope.error < 0.15

    def test_of_straight_through_is_exact(self, found: Measured) -> None:
        assert all(variance == Estimate(0.0, 0.0) for variance in found.variances("straight-through").values())

    def test_counts_evaluations_alike(self, found: Measured) -> None:
        for count, of in found.points.items():
            assert {point.evaluations for point in of.values()} == {count}


def test_the_page_has_a_row_for_each_estimator(tmp_path: Path) -> None:
    recipe = LinearReward(trials=20, evaluations=(1, 2, 8, 16))
    result = json.loads(json.dumps(recipe.run(0, tmp_path, lambda message: None)))
    page = recipe.page(result)
    assert [row[0] for row in page.rows] == list(ESTIMATORS)
    assert {len(row) for row in page.rows} == {len(page.headings)}
    assert result["points"]["1"]["REINFORCE"]["variance"]["value"] > 0
    assert "DisARM" not in result["points"]["1"]
