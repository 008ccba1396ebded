"""Names that stand where curves end and do not overlap."""

from __future__ import annotations

import itertools

import pytest
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from drawgrad.studies.drawing import label_ends, sign, titled


class TestLabels:
    @pytest.fixture
    def axes(self) -> Axes:
        axes = Figure().add_subplot()
        axes.set(xlim=(0, 1), ylim=(0, 1))
        return axes

    def places(self, axes: Axes, values: list[float]) -> list[float]:
        """Where the names stand, as a part of the height of the axes."""
        label_ends(axes, [(str(index), value, "black") for index, value in enumerate(values)])
        found = {int(text.get_text()): text.get_position()[1] for text in axes.texts}
        return [found[index] for index in range(len(values))]

    @pytest.mark.parametrize("values", [[0.1, 0.5, 0.9], [0.5, 0.5, 0.5, 0.51], [1.0, 1.0, 0.99], [0.0, 0.0, -0.2]])
    def test_keep_their_distance_and_order(self, axes: Axes, values: list[float]) -> None:
        places = self.places(axes, values)
        in_order = [places[index] for index in sorted(range(len(values)), key=lambda index: (values[index], index))]
        inches = axes.get_window_extent().height / axes.figure.dpi
        assert all((upper - lower) * inches > 0.15 for lower, upper in itertools.pairwise(in_order))
        assert in_order[-1] <= 1

    def test_that_have_room_stand_where_the_curves_end(self, axes: Axes) -> None:
        assert self.places(axes, [0.2, 0.7]) == pytest.approx([0.2, 0.7])
        assert all(text.arrow_patch is None for text in axes.texts)

    def test_that_have_none_move_as_little_as_can_be_and_lines_lead_to_them(self, axes: Axes) -> None:
        places = self.places(axes, [0.5, 0.5, 0.9])
        assert (places[0] + places[1]) / 2 == pytest.approx(0.5)
        assert places[2] == pytest.approx(0.9)
        assert [text.arrow_patch is None for text in axes.texts] == [False, False, True]
        assert [text.xy for text in axes.texts] == [(1, pytest.approx(value)) for value in (0.5, 0.5, 0.9)]


def test_a_legend_says_what_is_hollow_and_what_is_full() -> None:
    figure = Figure(layout="constrained", figsize=(9, 4))
    titled(figure, "Title", [sign("seen", "red", marker="o"), sign("not seen", "red", marker="o", mfc="white")])
    handles = figure.legends[0].legend_handles
    assert [handle.get_markerfacecolor() for handle in handles] == ["red", "white"]
