"""The dial over the temperature."""

from __future__ import annotations

import pytest

from drawgrad.studies.dial import ESTIMATORS, Dial, dial, measure_dial


@pytest.fixture(scope="module")
def found() -> Dial:
    return measure_dial(draws=4000, temperatures=(0.1, 0.5, 2.0))


def test_bias_rises_and_variance_falls_with_the_temperature(found: Dial) -> None:
    rows = found.quality["Gumbel-Softmax"]
    assert rows[0.1].variance.value > 2 * rows[0.5].variance.value > 4 * rows[2.0].variance.value
    assert rows[2.0].bias_squared.value > 5 * rows[0.5].bias_squared.value


def test_more_gradients_prefer_a_lower_temperature(found: Dial) -> None:
    assert found.best("Gumbel-Softmax", 1)[0] > found.best("Gumbel-Softmax", 1000)[0]


def test_the_error_is_squared_bias_and_shared_variance(found: Dial) -> None:
    for name in ESTIMATORS:
        row = found.quality[name][0.5]
        expected = max(row.bias_squared.value, 0) + row.variance.value / 10
        assert found.error(name, 10)[0.5].value == pytest.approx(expected)


def test_gumbel_rao_has_less_variance_and_the_same_bias(found: Dial) -> None:
    for tau, row in found.quality["Gumbel-Rao"].items():
        plain = found.quality["ST Gumbel-Softmax"][tau]
        assert row.variance.value < plain.variance.value
        error = (row.bias_squared.error**2 + plain.bias_squared.error**2) ** 0.5
        assert abs(row.bias_squared.value - plain.bias_squared.value) < 5 * error


def test_the_exhibit_has_a_row_for_each_estimator() -> None:
    exhibit = dial(draws=50)
    assert [row[0] for row in exhibit.rows if row[0]] == list(ESTIMATORS)
    assert {len(row) for row in exhibit.rows} == {len(exhibit.headings)}
