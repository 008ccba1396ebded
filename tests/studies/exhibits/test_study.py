"""Studies: jobs whose results make one page and one record."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import pytest

from drawgrad.studies.drawing import plain_axes, sign
from drawgrad.studies.engine import run
from drawgrad.studies.exhibits.page import Page
from drawgrad.studies.exhibits.study import Found, Single, Sweep
from drawgrad.studies.records import Measurement, mean_of

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.figure import Figure


@dataclass(frozen=True)
class Times:
    """The seed times a number."""

    factor: int

    def run(self, seed: int, folder: Path, listener: Callable[[str], None]) -> dict[str, Any]:
        return {"value": self.factor * seed}


@dataclass(frozen=True)
class Tables(Sweep):
    """Two and three times the seed."""

    name: ClassVar[str] = "tables"
    title: ClassVar[str] = "Tables"

    def cases(self) -> Mapping[str, Times]:
        return {"three": Times(3), "two": Times(2)}

    def cells(self, found: Found) -> list[Measurement]:
        return [mean_of(case, "mean", [one["value"] for one in of]) for case, of in found.items()]

    def note(self, found: Found) -> str:
        return f"{sum(len(of) for of in found.values())} results."

    def draw(self, figure: Figure, found: Found) -> None:
        plain_axes(figure.add_subplot(), "", "x", "y")

    def signs(self) -> list[Artist]:
        return [sign("nothing")]

    @property
    def size(self) -> tuple[float, float]:
        return 3.0, 2.0


def test_a_sweep_does_all_cases_before_the_next_seed() -> None:
    jobs = Tables(seeds=2).jobs()
    names = ["tables/three-seed-0", "tables/two-seed-0", "tables/three-seed-1", "tables/two-seed-1"]
    assert [job.name for job in jobs] == names
    assert [job.seed for job in jobs] == [0, 0, 1, 1]


def test_its_table_has_means_and_standard_errors(tmp_path: Path) -> None:
    study = Tables(seeds=3)
    results = {outcome.job.name: outcome.result or {} for outcome in run(study.jobs(), tmp_path)}
    three, two = study.measurements(results)
    assert (three.case, three.value, three.samples) == ("three", 3.0, 3)
    assert two.spread == pytest.approx(2 / 3**0.5)
    page = study.page(results)
    assert page.rows == [("three", "3.0 ± 1.7"), ("two", "2.0 ± 1.2")]
    assert (page.title, page.headings, page.note) == ("Tables", ("", "mean"), "6 results.")
    assert page.save(tmp_path).exists()


def test_what_is_not_finished_is_left_out() -> None:
    study = Tables(seeds=3)
    results = {"tables/two-seed-2": {"value": 4}, "tables/two-seed-0": {"value": 0}}
    assert study.found(results) == {"two": [{"value": 0}, {"value": 4}]}
    assert [row[0] for row in study.page(results).rows] == ["two"]


def test_it_says_how_many_seeds_are_finished() -> None:
    study = Tables(seeds=3)
    one: list[dict[str, Any]] = [{"value": 1}]
    assert study.words({"two": one}) == "1 seed"
    assert study.words({"two": one * 3, "three": one * 3}) == "3 seeds"
    assert study.words({"two": one * 3, "three": one * 2}) == "2 to 3 seeds"


def test_a_sweep_needs_a_seed() -> None:
    with pytest.raises(ValueError, match="seeds must be at least 1"):
        Tables(seeds=0)


@dataclass(frozen=True)
class Shown(Times):
    """With a page of its own."""

    def page(self, result: dict[str, Any]) -> Page:
        return Page(f"{result['value']}", ("",), [], "", lambda figure: None, list, (1.0, 1.0))


def test_a_single_study_is_one_job_in_the_folder_of_the_study() -> None:
    study = Single("shown", Shown(5), seed=2)
    (job,) = study.jobs()
    assert (job.name, job.seed) == ("shown", 2)
    assert study.page({"shown": {"value": 10}}).title == "10"
    assert study.measurements({"shown": {"value": 10}}) == []
