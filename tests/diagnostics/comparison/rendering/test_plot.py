"""The figure of a comparison."""

from __future__ import annotations

import pytest
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from drawgrad.diagnostics import Estimate, Report
from tests.diagnostics.comparison.rows import REPORT, row


class TestPlot:
    @pytest.fixture
    def axes(self) -> Axes:
        return Figure(figsize=(6, 3)).add_subplot()

    def test_has_a_line_for_each_row_best_on_top(self, axes: Axes) -> None:
        best = row("best", mean_squared_error=Estimate(0.1, 0.01))
        Report((*REPORT.rows, best), "r", Estimate(1.0, 0.0), 12, 1000, 0.1).plot(axes)
        assert [label.get_text() for label in axes.get_yticklabels()] == ["best", "A(tau=0.5)", "B", "Longer name"]
        assert axes.yaxis_inverted()
        assert axes.get_xscale() == "log"
        axes.figure.canvas.draw()

    def test_shows_a_bias_that_was_seen_and_a_bound_else(self, axes: Axes) -> None:
        REPORT.plot(axes)
        arrows = [line.get_xdata()[0] for line in axes.lines if line.get_marker() == "<" and len(line.get_xdata())]
        assert arrows == pytest.approx([0.2**2, 0.2**2])
        diamonds = [line.get_xdata()[0] for line in axes.lines if line.get_marker() == "D" and len(line.get_xdata())]
        assert diamonds == [0.0152]

    def test_of_an_exact_gradient_leaves_room_for_the_others(self, axes: Axes) -> None:
        exact = row("Exact", "none seen", variance=Estimate(0.0, 0.0), bias_limit=1e-16)
        Report((*REPORT.rows, exact), "r", Estimate(1.0, 0.0), 12, 1000, 0.1).plot(axes)
        assert axes.get_xlim()[0] > 1e-3
        axes.figure.canvas.draw()
