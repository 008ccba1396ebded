"""The linear reward: variances that are known, and how they fall."""

from __future__ import annotations

import pytest
import torch

from drawgrad.diagnostics import Estimate
from drawgrad.studies.linear_reward import ESTIMATORS, LinearReward, linear_reward, log_slope, measure_linear_reward

TRIALS = 2000


@pytest.fixture(scope="module")
def found() -> LinearReward:
    return measure_linear_reward(trials=TRIALS, evaluations=(2, 8, 32))


class TestMeasurement:
    def test_of_reinforce_is_the_exact_variance(self, found: LinearReward) -> None:
        logits = torch.randn(8, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
        pi, rewards = logits.softmax(0), torch.linspace(0, 1, 8, dtype=torch.float64)
        gradients = rewards[:, None] * (torch.eye(8) - pi)
        mean = (pi[:, None] * gradients).sum(0)
        exact = float((pi * (gradients - mean).square().sum(1)).sum())
        for count, variance in found.variances("REINFORCE").items():
            assert abs(variance.value - exact / count) < 5 * variance.error < 0.5 * exact / count

    @pytest.mark.parametrize("name", [name for name in ESTIMATORS if name not in ("straight-through", "leave-one-out")])
    def test_falls_with_slope_minus_one(self, found: LinearReward, name: str) -> None:
        slope = log_slope(found.variances(name))
        assert abs(slope.value + 1) < 5 * slope.error < 0.15

    def test_of_straight_through_is_exact(self, found: LinearReward) -> None:
        assert all(variance == Estimate(0.0, 0.0) for variance in found.variances("straight-through").values())

    def test_counts_evaluations_alike(self, found: LinearReward) -> None:
        for count, report in found.reports.items():
            assert {row.evaluations for row in report.rows} == {count}


class TestSlope:
    def test_of_points_on_a_line(self) -> None:
        points = {n: Estimate(3 * n**-1.5, 0.1 * n**-1.5) for n in (1, 2, 4, 8)}
        assert log_slope(points).value == pytest.approx(-1.5)

    def test_trusts_points_by_their_errors(self) -> None:
        points = {1: Estimate(1.0, 1e-4), 10: Estimate(0.1, 1e-5), 100: Estimate(5.0, 50.0)}
        assert log_slope(points).value == pytest.approx(-1, abs=1e-3)

    def test_has_the_error_of_repetitions(self) -> None:
        generator = torch.Generator().manual_seed(0)
        noise = 0.05 * torch.randn(500, 4, generator=generator, dtype=torch.float64)

        def fitted(errors: list[float]) -> Estimate:
            return log_slope({n: Estimate((1 + e) / n, 0.05 / n) for n, e in zip((1, 2, 4, 8), errors, strict=True)})

        slopes = torch.tensor([fitted(row).value for row in noise.tolist()])
        claimed = fitted([0.0] * 4).error
        assert float(slopes.std()) == pytest.approx(claimed, rel=0.2)


def test_the_exhibit_has_a_row_for_each_estimator() -> None:
    exhibit = linear_reward(trials=20, evaluations=(1, 2, 8, 16))
    assert [row[0] for row in exhibit.rows] == list(ESTIMATORS)
    assert {len(row) for row in exhibit.rows} == {len(exhibit.headings)}
    assert exhibit.data["variance"]["REINFORCE"][1]["value"] > 0
