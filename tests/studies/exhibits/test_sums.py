"""The studies of sums: tables and cases."""

from __future__ import annotations

from pathlib import Path

import pytest

from drawgrad.studies.exhibits import STRUCTURES
from drawgrad.studies.exhibits.sums import SmallSums, Sums
from drawgrad.studies.tasks.sums.teachers import TEACHERS


def result(right: float) -> dict[str, object]:
    """What a job leaves."""
    return {"sums": right, "digits": 0.9, "curve": [[25, 1.0, 0.5], [50, 2.0, 0.9]]}


@pytest.mark.parametrize("study", [Sums(2), SmallSums(2)])
def test_a_table_with_what_is_printed(study: Sums, tmp_path: Path) -> None:
    results = {job.name: result(0.5 + 0.2 * job.seed) for job in study.jobs()}
    cells = {(cell.case, cell.quantity): cell for cell in study.measurements(results)}
    columns = {column for _, column in study.recipes()}
    for column in columns:
        cell = cells["exact", column]
        assert (cell.value, cell.spread) == (pytest.approx(60), pytest.approx(10))
    assert cells["printed: A-NeSI", min(columns)].value > 90
    assert {column for _, column in cells} == columns
    assert study.page(results).save(tmp_path).exists()


def test_teachers_are_those_that_there_are() -> None:
    assert {recipe.teacher for recipe in (*Sums(1).cases().values(), *SmallSums(1).cases().values())} <= set(TEACHERS)


def test_numbers_have_one_two_and_four_digits_and_sums_two_to_four_of_them() -> None:
    assert sorted({recipe.digits for recipe in Sums(1).cases().values()}) == [1, 2, 4]
    assert {recipe.most for recipe in Sums(1).cases().values()} == {None}
    assert sorted({recipe.addends for recipe in SmallSums(1).cases().values()}) == [2, 3, 4]
    assert {recipe.most for recipe in SmallSums(1).cases().values()} == {5000}


@pytest.mark.parametrize("name", ["sums", "small-sums"])
def test_steps_limit_the_sums(name: str) -> None:
    for recipe in STRUCTURES[name].study(1, 10, None).cases().values():
        assert (recipe.epochs, recipe.most) == (1, 10 * recipe.batch)
