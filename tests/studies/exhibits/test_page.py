"""What an exhibit leaves: a figure and a table."""

from __future__ import annotations

from pathlib import Path

import matplotlib.image
import pytest
from matplotlib.figure import Figure

from drawgrad.studies.drawing import plain_axes, sign
from drawgrad.studies.exhibits.page import Page


def draw(figure: Figure) -> None:
    axes = figure.add_subplot()
    axes.plot([0, 1], [0, 1])
    plain_axes(axes, "title", "x", "y")


LINE = sign("the line", lw=2)
PAGE = Page(
    "Two lines",
    ("name", "a"),
    [("x", "1 ± 1"), ("y", "22")],
    "A note.",
    draw,
    lambda: [sign("the line", lw=2)],
    (4.0, 3.0),
)


def test_saves_a_figure_and_a_table(tmp_path: Path) -> None:
    assert PAGE.save(tmp_path) == tmp_path / "figure.png"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["figure.png", "table.md"]
    pixels = matplotlib.image.imread(tmp_path / "figure.png")
    assert pixels.shape[1] == 4 * 130
    assert pixels.min() < 0.5 < pixels.max()
    assert (tmp_path / "table.md").read_text(encoding="utf-8") == PAGE.markdown()
    assert PAGE.save(tmp_path) == tmp_path / "figure.png"


def test_has_a_table_in_markdown() -> None:
    lines = PAGE.markdown().splitlines()
    assert lines == ["# Two lines", "", "| name | a |", "| --- | ---: |", "| x | 1 ± 1 |", "| y | 22 |", "", "A note."]


def test_has_a_table_for_a_terminal() -> None:
    assert PAGE.text().splitlines()[-1] == "y        22"


def test_the_figure_has_its_title_and_says_what_its_lines_mean(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    figures: list[Figure] = []
    monkeypatch.setattr(Figure, "savefig", lambda figure, *options, **more: figures.append(figure))
    PAGE.save(tmp_path)
    (figure,) = figures
    assert figure.get_suptitle() == "Two lines"
    (legend,) = figure.legends
    assert [text.get_text() for text in legend.get_texts()] == ["the line"]
