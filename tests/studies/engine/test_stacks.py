"""Stacks: jobs that differ in the seed alone, done as one program, each with its own folder and its own end."""

from __future__ import annotations

from pathlib import Path

import pytest

from drawgrad.studies.engine import Job, Local, Stack, run
from drawgrad.studies.engine.stacks import stacked
from tests.studies.engine.recipes import Stackable

ENGINES = pytest.mark.parametrize("engine", [Local(), Local(2)], ids=["here", "workers"])


def jobs(recipe: Stackable, seeds: int, name: str = "cell") -> list[Job]:
    return [Job(f"{name}/seed-{seed}", recipe, seed) for seed in range(seeds)]


def test_jobs_of_one_recipe_are_stacked_in_the_order_of_the_first_ones():
    one, two = jobs(Stackable(1.0), 3, "one"), jobs(Stackable(2.0), 2, "two")
    alone = jobs(Stackable(1.0, alone=True), 2, "alone")
    mixed = [one[0], alone[0], two[0], one[1], two[1], alone[1], one[2]]
    expected = [Stack((one[0], one[1])), alone[0], Stack(tuple(two)), alone[1], Stack((one[2],))]
    assert stacked(mixed, 2) == expected
    # What does not decide on the result does not part them.
    elsewhere = Job("there", Stackable(1.0, where="there"), 9)
    assert stacked([one[0], elsewhere], 2) == [Stack((one[0], elsewhere))]


@ENGINES
def test_each_job_of_a_stack_has_its_own_folder_result_and_share(engine: Local, tmp_path: Path):
    told: list[tuple[str, str]] = []
    all_jobs = jobs(Stackable(2.0), 3)
    found = list(run(all_jobs, tmp_path, engine=engine, listener=lambda *said: told.append(said), stack=2))
    assert {o.job.name: o.result for o in found} == {
        "cell/seed-0": {"seeds": [0, 1]}, "cell/seed-1": {"seeds": [0, 1]}, "cell/seed-2": {"seeds": [2]}
    }  # fmt: skip
    assert [o.seconds for o in found] == [0.5] * 3
    assert sorted(told) == [(job.name, "squaring") for job in all_jobs]
    assert all(o.job in all_jobs for o in found)
    again = list(run(all_jobs, tmp_path, engine=engine))
    assert [(o.earlier, o.result) for o in again] == [(True, o.result) for o in sorted(found, key=lambda o: o.job.seed)]


@ENGINES
def test_a_job_that_fails_is_told_with_its_cause_and_the_others_of_its_stack_go_on(engine: Local, tmp_path: Path):
    found = {o.job.seed: o for o in run(jobs(Stackable(2.0, failing=(0,)), 3), tmp_path, engine=engine, stack=3)}
    assert {seed: o.failure for seed, o in found.items()} == {0: "ArithmeticError: 0 is bad", 1: None, 2: None}
    assert "0 is bad" in (tmp_path / "cell" / "seed-0" / "log.txt").read_text()
    assert not (tmp_path / "cell" / "seed-0" / "result.json").exists()


@ENGINES
def test_what_ends_a_stack_leaves_those_that_had_ended_and_they_are_not_done_again(engine: Local, tmp_path: Path):
    fatal = jobs(Stackable(2.0, fatal=1), 3)
    found = {o.job.seed: o for o in run(fatal, tmp_path, engine=engine, stack=3)}
    assert {seed: o.failure for seed, o in found.items()} == {0: None, **dict.fromkeys((1, 2), "MemoryError: no more")}
    (tmp_path / "cell" / "seed-0" / "together").unlink()
    again = {o.job.seed: o for o in run(fatal, tmp_path, engine=engine, stack=3)}
    assert {seed: (o.earlier, o.failure is None) for seed, o in again.items()} == {
        0: (True, True), 1: (False, False), 2: (False, False)
    }  # fmt: skip
    assert not (tmp_path / "cell" / "seed-0" / "together").exists()


def test_without_stacking_each_is_done_by_itself(tmp_path: Path):
    (outcome,) = run(jobs(Stackable(3.0), 1), tmp_path)
    assert outcome.result is not None
    assert outcome.result["square"] == 9.0
