"""The exhibit of sorted numbers."""

from __future__ import annotations

from pathlib import Path

from drawgrad.studies.engine import run
from drawgrad.studies.exhibits.sorting import INTERVALS, LENGTHS, PRINTED, Sorting


def test_the_lengths_are_those_of_the_printed_table() -> None:
    assert LENGTHS == tuple(PRINTED) == (5, 10, 15, 80, 100, 120)


def test_the_table_has_a_column_for_each_length_and_the_printed_row(tmp_path: Path) -> None:
    study = Sorting(2, steps=3, lengths=(3, 5), lists=5)
    results = {outcome.job.name: outcome.result or {} for outcome in run(study.jobs(), tmp_path)}
    cells = study.measurements(results)
    assert {cell.quantity for cell in cells} == {"n = 3", "n = 5"}
    # Nothing is printed for three.
    assert [cell.quantity for cell in cells if "printed" in cell.case] == ["n = 5"]
    assert len({cell.case for cell in cells}) == len(INTERVALS) + 2
    assert all(0 <= cell.value <= 1 for cell in cells)
    of = {cell.case: cell for cell in cells if cell.quantity == "n = 5"}
    assert of["wrong places, U(0, 1)"].value <= of["lists with an error, U(0, 1)"].value
    assert len(results["sorting/3-numbers-seed-1"]["losses"]) == 3
    assert study.page(results).save(tmp_path).exists()
