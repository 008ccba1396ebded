"""Figure 5 of Jang et al.: the printed ratios, each timing shared by three cells, and a figure of what there is."""

from __future__ import annotations

from drawgrad.studies.papers import TABLES
from drawgrad.studies.papers.jang2017_figure5 import CHANNELS, CLASSES, FIGURE5
from drawgrad.studies.reproduction import Findings, RunResult


def test_it_has_the_two_printed_ratios_beside_each_model():
    printed = {(cell.row, cell.column): cell.printed for cell in FIGURE5.cells if cell.printed is not None}
    assert printed == {
        (f"ratio, {channels} channels", f"K = {classes}"): ratio
        for channels in CHANNELS
        for classes, ratio in ((10, 2.0), (100, 9.9))
    }
    assert TABLES["jang2017-figure5"].load() is FIGURE5


def test_speeds_and_ratio_of_a_model_are_of_one_timing():
    recipes = {}
    for cell in FIGURE5.cells:
        recipes.setdefault(cell.recipe, []).append(cell.quantity)
        assert cell.recipe.evaluations() == int(cell.column.removeprefix("K = "))
    assert list(recipes.values()) == [["slow", "fast", "value"]] * (len(CHANNELS) * len(CLASSES))


def test_the_figure_shows_what_is_there(tmp_path):
    some = [cell for cell in FIGURE5.cells if cell.column in ("K = 5", "K = 100") and "8" in cell.row]
    results = tuple(
        RunResult(cell.row, cell.column, seed, 1e-3, 10.0 + seed, key=f"{cell.column} {seed}")
        for cell in some
        for seed in range(2)
    )
    page = Findings(FIGURE5, "quick", tuple(some), results).page()
    assert page.headings == (
        "", "evaluations", "marginalization, 8 channels", "Gumbel-Softmax, 8 channels", "ratio, 8 channels, printed",
        "ours",
    )  # fmt: skip
    assert page.rows[0] == ["K = 5", "5", "10.5 ± 0.5 (2)", "10.5 ± 0.5 (2)", "", "10.5 ± 0.5 (2)"]
    assert page.save(tmp_path).read_bytes().startswith(b"\x89PNG")
