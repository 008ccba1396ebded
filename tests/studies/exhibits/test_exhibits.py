"""The registry of exhibits."""

from __future__ import annotations

import subprocess
import sys

import pytest

from drawgrad.studies.engine import Job
from drawgrad.studies.exhibits import EXHIBITS, STRUCTURES


@pytest.mark.parametrize("name", EXHIBITS)
def test_each_has_a_recipe_with_a_key(name: str) -> None:
    exhibit = EXHIBITS[name]
    assert exhibit.name == name
    assert exhibit.text
    assert len(Job(name, exhibit.recipe(5), 0).key) == 16


def test_those_with_runs_take_their_number() -> None:
    numbers = {name: [Job(name, exhibit.recipe(runs), 0).key for runs in (5, 6)] for name, exhibit in EXHIBITS.items()}
    assert {name for name, (five, six) in numbers.items() if five != six} == {"coin", "polynomial"}


@pytest.mark.parametrize("name", STRUCTURES)
def test_each_structure_has_a_study_that_takes_seeds_and_steps(name: str) -> None:
    structure = STRUCTURES[name]
    study = structure.study(2, 7, None)
    assert structure.name == study.name == name
    jobs = study.jobs()
    assert {job.seed for job in jobs} == {0, 1}
    keys = {job.key for job in jobs}
    assert len(keys) == len(jobs)
    for steps in (8, None):
        assert not keys & {job.key for job in structure.study(2, steps, None).jobs()}


def test_listing_them_loads_no_torch() -> None:
    code = "import sys; from drawgrad.studies.exhibits import EXHIBITS; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
