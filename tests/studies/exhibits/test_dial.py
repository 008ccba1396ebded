"""The dial over the temperature."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from drawgrad.studies.exhibits.dial import ESTIMATORS, Dial, Measured, measure


@pytest.fixture(scope="module")
def found() -> Measured:
    return measure(0, 4000, (0.1, 0.5, 2.0))


def test_bias_rises_and_variance_falls_with_the_temperature(found: Measured) -> None:
    rows = found.points["Gumbel-Softmax"]
    assert rows[0.1].variance.value > 2 * rows[0.5].variance.value > 4 * rows[2.0].variance.value
    assert rows[2.0].bias_squared.value > 5 * rows[0.5].bias_squared.value


def test_more_gradients_prefer_a_lower_temperature(found: Measured) -> None:
    assert found.best("Gumbel-Softmax", 1)[0] > found.best("Gumbel-Softmax", 1000)[0]


def test_the_error_is_squared_bias_and_shared_variance(found: Measured) -> None:
    for name in ESTIMATORS:
        row = found.points[name][0.5]
        expected = max(row.bias_squared.value, 0) + row.variance.value / 10
        assert found.error(name, 10)[0.5].value == pytest.approx(expected)


def test_gumbel_rao_has_less_variance_and_the_same_bias(found: Measured) -> None:
    for tau, row in found.points["Gumbel-Rao"].items():
        plain = found.points["ST Gumbel-Softmax"][tau]
        assert row.variance.value < plain.variance.value
        error = (row.bias_squared.error**2 + plain.bias_squared.error**2) ** 0.5
        assert abs(row.bias_squared.value - plain.bias_squared.value) < 5 * error


def test_the_page_has_rows_for_each_estimator(tmp_path: Path) -> None:
    recipe = Dial(draws=50)
    page = recipe.page(json.loads(json.dumps(recipe.run(0, tmp_path, lambda message: None))))
    assert [row[0] for row in page.rows if row[0]] == list(ESTIMATORS)
    assert {len(row) for row in page.rows} == {len(page.headings)}
