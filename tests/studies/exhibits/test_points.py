"""Points of a comparison, and lines through them."""

from __future__ import annotations

import json

import pytest
import torch

from drawgrad.diagnostics import Estimate
from drawgrad.studies.exhibits.points import Point, log_slope


def test_a_point_comes_back_from_json_as_it_was() -> None:
    point = Point(Estimate(1.5, 0.1), Estimate(0.2, 0.01), Estimate(0.04, 0.002), 0.3, "biased", 4)
    assert Point.read(json.loads(json.dumps(point.plain()))) == point


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
