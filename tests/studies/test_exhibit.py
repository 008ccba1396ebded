"""What a study leaves: a figure, a table and numbers; and labels that do not overlap."""

from __future__ import annotations

import itertools
import json
from pathlib import Path

import matplotlib.image
import pytest
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from drawgrad.studies.exhibit import Exhibit, label_ends, plain_axes


def draw(figure: Figure) -> None:
    axes = figure.add_subplot()
    axes.plot([0, 1], [0, 1])
    plain_axes(axes, "title", "x", "y")


EXHIBIT = Exhibit(
    "lines", "Two lines", ("name", "a"), [("x", "1"), ("y", "22")], "A note.", {"a": [1, 22]}, draw, (4.0, 3.0)
)


class TestExhibit:
    def test_saves_three_files(self, tmp_path: Path) -> None:
        picture, table, data = EXHIBIT.save(tmp_path / "new")
        assert [path.name for path in (picture, table, data)] == ["lines.png", "lines.md", "lines.json"]
        pixels = matplotlib.image.imread(picture)
        assert pixels.shape[1] == 4 * 130
        assert pixels.min() < 0.5 < pixels.max()
        assert json.loads(data.read_text()) == {"a": [1, 22]}

    def test_has_a_table_in_markdown(self, tmp_path: Path) -> None:
        lines = EXHIBIT.markdown().splitlines()
        assert lines == ["# Two lines", "", "| name | a |", "| --- | ---: |", "| x | 1 |", "| y | 22 |", "", "A note."]

    def test_is_written_again_over_an_older_one(self, tmp_path: Path) -> None:
        assert EXHIBIT.save(tmp_path) == EXHIBIT.save(tmp_path)


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
