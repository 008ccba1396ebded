"""Names that stand where curves end and do not overlap."""

from __future__ import annotations

import itertools

import pytest
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from drawgrad.studies.drawing import label_ends


class TestLabels:
    @pytest.fixture
    def axes(self) -> Axes:
        axes = Figure().add_subplot()
        axes.set(xlim=(0, 1), ylim=(0, 1))
        return axes

    @pytest.mark.parametrize("values", [[0.1, 0.5, 0.9], [0.5, 0.5, 0.5, 0.51], [1.0, 1.0, 0.99], [0.0, 0.0, -0.2]])
    def test_keep_their_distance_and_order(self, axes: Axes, values: list[float]) -> None:
        label_ends(axes, [(str(index), value, "black") for index, value in enumerate(values)])
        heights = {int(text.get_text()): text.xy[1] for text in axes.texts}
        assert len(heights) == len(values)
        in_order = [heights[index] for index in sorted(heights, key=lambda index: (values[index], index))]
        assert all(upper - lower > 0.05 for lower, upper in itertools.pairwise(in_order))
        assert in_order[-1] <= 1

    def test_that_have_room_stand_where_the_curves_end(self, axes: Axes) -> None:
        label_ends(axes, [("a", 0.2, "black"), ("b", 0.7, "black")])
        assert [text.xy[1] for text in axes.texts] == pytest.approx([0.2, 0.7])
