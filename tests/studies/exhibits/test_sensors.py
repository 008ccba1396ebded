"""The exhibit of chosen pixels."""

from __future__ import annotations

from pathlib import Path

from drawgrad.studies.engine import run
from drawgrad.studies.exhibits.sensors import Sensors
from drawgrad.studies.tasks.sensors import CHOOSERS


def test_the_table_has_a_row_for_each_way_to_choose(tmp_path: Path) -> None:
    study = Sensors(1, steps=2, counts=(3,))
    results = {outcome.job.name: outcome.result or {} for outcome in run(study.jobs(), tmp_path)}
    assert len(results) == len(CHOOSERS)
    assert all(len(result["chosen"]) == 3 for result in results.values())
    cells = study.measurements(results)
    assert list(dict.fromkeys(cell.case for cell in cells)) == list(CHOOSERS)
    assert {cell.quantity for cell in cells} == {"k = 3, network", "k = 3, linear"}
    linear = {cell.case: cell.value for cell in cells if cell.quantity == "k = 3, linear"}
    # A pixel at a time for a linear decoder is better for one than whatever does not look at it.
    assert linear["greedy, linear"] < min(linear["random"], linear["most varied"]) < 100
    assert study.page(results).save(tmp_path).exists()
