"""Numbers and tables as text."""

from __future__ import annotations

import math

import pytest

from drawgrad._tables import duration, markdown_table, significant, text_table, with_spread


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.0, "0"), (1.0, "1.00"), (0.99999, "1.00"), (-12.345, "-12.3"), (123456.0, "123000"), (1e-5, "1.00e-05"),
     (1e20, "1.00e+20"), (math.inf, "inf"), (math.nan, "nan")],
)  # fmt: skip
def test_a_number_has_three_digits(value: float, text: str) -> None:
    assert significant(value) == text


@pytest.mark.parametrize(
    ("value", "spread", "text"),
    [
        (0.123456, 0.0123, "0.123 ± 0.012"),
        (0.123456, 0.0196, "0.123 ± 0.020"),
        (0.123456, 0.0204, "0.12 ± 0.02"),
        (-1234.56, 78.9, "-1230 ± 80"),
        (5.0, 0.0, "5.00"),
        (0.0, 0.25, "0.0 ± 0.2"),
        (1.2346e-9, 1e-11, "(1.235 ± 0.010)e-9"),
        (3e8, 2e7, "(3.0 ± 0.2)e8"),
        (1.5, 3e7, "(0 ± 3)e7"),
        (math.nan, math.nan, "nan"),
        (1.0, math.inf, "1.00"),
        (1.0, 1e-15, "1.00"),
        (0.20331275, 1.04e-7, "0.20331275 ± 0.00000010"),
        (1.2e-5, 2e-11, "(1.200000 ± 0.000002)e-5"),
    ],
)
def test_a_spread_decides_on_the_digits(value: float, spread: float, text: str) -> None:
    assert with_spread(value, spread) == text


@pytest.mark.parametrize(
    ("value", "spread", "text"),
    [
        (0.99996, 0.000013, "1.000"),
        (0.1, 0.0, "0.100"),
        (0.95123, 0.00512, "0.951 ± 0.005"),
        (0.95123, 0.1512, "0.95 ± 0.15"),
        (2e-5, 1e-5, "0.000"),
    ],
)
def test_decimals_may_be_limited(value: float, spread: float, text: str) -> None:
    assert with_spread(value, spread, places=3) == text


@pytest.mark.parametrize(("seconds", "text"), [(2.0, "2.00 s"), (0.0123, "12.3 ms"), (4.56e-5, "45.6 µs")])
def test_durations(seconds: float, text: str) -> None:
    assert duration(seconds) == text


class TestTextTable:
    def test_aligns_columns(self) -> None:
        assert text_table(["a", "b"], [["x", "1"], ["long", "22"]]).splitlines() == [
            "a      b",
            "----  --",
            "x      1",
            "long  22",
        ]

    def test_a_long_heading_takes_lines_and_a_cell_never_does(self) -> None:
        assert text_table(["name", "bias² of it"], [["x", "0.5 ± 0.1"]]).splitlines() == [
            "       bias² of",
            "name         it",
            "----  ---------",
            "x     0.5 ± 0.1",
        ]

    def test_columns_are_aligned_as_told(self) -> None:
        lines = text_table(["a", "b", "c"], [["x", "1", "how"], ["long", "22", "it is"]], "<><").splitlines()
        assert lines[2:] == ["x      1  how", "long  22  it is"]

    def test_may_have_no_row(self) -> None:
        assert text_table(["a", "b"], []).splitlines() == ["a  b", "-  -"]


def test_a_markdown_table() -> None:
    assert markdown_table(["a", "b"], [["x", "1"]]) == "| a | b |\n| --- | ---: |\n| x | 1 |"
    assert markdown_table(["a", "b"], [["x", "1"]], "<").splitlines()[1] == "| --- | --- |"
