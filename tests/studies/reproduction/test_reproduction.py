"""Doing a table: learning rates are chosen, seeds are run, and nothing is done twice."""

from __future__ import annotations

import functools
import json
from dataclasses import replace
from pathlib import Path

import pytest

from drawgrad.studies.engine import run
from drawgrad.studies.reproduction import Cell, CellRecipe, Claim, Findings, Protocol, Reproduction, RunResult, Table
from drawgrad.studies.reproduction.reproduction import TRIAL_SEED
from tests.studies.reproduction.small import TABLE


def study(protocol: str = "quick", cells=TABLE.cells[:2], seeds: int = 2, **more) -> Reproduction:
    return Reproduction(TABLE, TABLE.protocols[protocol], tuple(cells), seeds, **more)


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    root = tmp_path_factory.mktemp("study")
    ended = []
    return root, study().do(functools.partial(run, root=root), ended.append), ended


def test_every_cell_has_its_seeds_and_the_learning_rate_that_the_validation_chose(done):
    root, findings, _ = done
    assert [(each.column, each.seed) for each in findings.results] == [
        ("relaxed", 0), ("relaxed", 1), ("ST", 0), ("ST", 1),
    ]  # fmt: skip
    for each in findings.results:
        values = {
            lr: json.loads((root / "sbn" / each.column.lower() / f"lr-{lr:g}" / "result.json").read_text())["result"]
            for lr in (1e-2, 1e-3)
        }
        assert each.lr == min(values, key=lambda lr: values[lr]["value"])
        assert each.failure is None
        assert 0 < each.value < 64
        assert each.error > 0


def test_trials_are_short_and_see_the_validation_images_with_a_seed_of_their_own():
    trials = study().trials()
    assert [(job.name, job.seed) for job in trials] == [
        (f"sbn/{column}/lr-{lr}", TRIAL_SEED) for column in ("relaxed", "st") for lr in ("0.01", "0.001")
    ]
    for job, (cell, lr) in trials.items():
        config = job.recipe.config(job.seed)
        assert (job.recipe.part, config.optimization.epochs, config.optimization.lr) == ("valid", 1, lr)
        assert config.gradient.estimator == cell.recipe.settings["estimator"]
    assert not study("one rate").trials()


def test_a_training_of_its_own_is_that_of_a_cell_by_every_protocol(tmp_path):
    first, own = TABLE.cells[0], replace(TABLE.cells[1], training={"epochs": 3, "lr": 0.02, "optimizer": "sgd"})
    table = replace(TABLE, cells=(first, own))
    for protocol in TABLE.protocols.values():
        both = Reproduction(table, protocol, table.cells, 1)
        assert {cell.name for cell, _ in both.trials().values()} <= {first.name}
        ((_, theirs), (job, (cell, lr))) = both.runs({first: 0.5, own: 0.02}).items()
        assert (cell, lr) == (own, 0.02)
        config = job.recipe.config(0).optimization
        assert (config.epochs, config.lr, config.optimizer) == (3, 0.02, "sgd")
        assert theirs == (first, 0.5)
    findings = Reproduction(table, TABLE.protocols["quick"], (own,), 1, steps=7).do(
        functools.partial(run, root=tmp_path)
    )
    (result,) = findings.results
    assert result.lr == 0.02
    assert findings.trials == ()


def test_runs_come_seed_by_seed_so_that_a_part_of_them_is_a_table():
    first, second = TABLE.cells[:2]
    jobs = study().runs({first: 0.01, second: 0.001})
    assert [job.name for job in jobs] == ["sbn/relaxed/seed-0", "sbn/st/seed-0", "sbn/relaxed/seed-1", "sbn/st/seed-1"]
    assert {job.recipe.part for job in jobs} == {"test"}
    assert [job.recipe.config(0).optimization.lr for job in jobs] == [0.01, 0.001] * 2


def test_a_second_time_nothing_is_done_and_the_findings_are_the_same(done):
    root, findings, ended = done
    assert len(ended) == study().count() == 8
    again = []
    assert study().do(functools.partial(run, root=root), again.append).results == findings.results
    assert all(outcome.earlier for outcome in again)


def test_what_lies_where_is_not_part_of_a_run(tmp_path):
    there, elsewhere = (next(iter(study(data_dir=folder).trials())) for folder in (None, tmp_path))
    assert there.key == elsewhere.key


def test_steps_are_rounded_to_passes(tmp_path):
    jobs = study(steps=40).runs({TABLE.cells[0]: 0.01})
    assert next(iter(jobs)).recipe.config(0).optimization.epochs == round(40 * 100 / 1399)
    trial = next(iter(study(steps=140).trials()))
    assert trial.recipe.config(0).optimization.epochs == 2
    assert next(iter(study(steps=1).trials())).recipe.config(0).optimization.epochs == 1


def test_a_cell_whose_trainings_diverge_has_the_reason_and_the_others_go_on(tmp_path):
    findings = study("divergent", TABLE.cells[:1]).do(functools.partial(run, root=tmp_path))
    (failure,) = findings.failures()
    assert (failure.value, failure.lr) == (None, None)
    assert "lower the learning rate" in failure.failure
    assert findings.lines()[0][-1] == "1 failed"


def test_a_run_that_was_killed_goes_on_from_its_checkpoint(tmp_path: Path, monkeypatch):
    (job,) = study("one rate", TABLE.cells[:1], 1).runs({TABLE.cells[0]: 0.01})
    whole = job.recipe.run(0, tmp_path / "whole", lambda message: None)

    class Killed(BaseException):
        pass

    def kill(message: str) -> None:
        if message.startswith("measuring"):
            raise Killed

    with pytest.raises(Killed):
        job.recipe.run(0, tmp_path / "killed", kill)
    messages = []
    again = job.recipe.run(0, tmp_path / "killed", messages.append)
    assert {**again, "seconds": None} == {**whole, "seconds": None}
    assert messages[0] == "training 100 %"
    assert not list((tmp_path / "killed").rglob("*.pt"))


def values(findings: Findings) -> dict[int, float]:
    return findings.values("SBN", "relaxed")


@pytest.fixture(scope="module")
def three(tmp_path_factory) -> Findings:
    """Three seeds, one after the other."""
    root = tmp_path_factory.mktemp("three")
    return study("one rate", TABLE.cells[:1], 3).do(functools.partial(run, root=root))


def test_seeds_that_train_as_one_program_find_what_they_find_alone(three, tmp_path):
    stacked = study("one rate", TABLE.cells[:1], 3).do(functools.partial(run, root=tmp_path, stack=2))
    assert values(stacked) == pytest.approx(values(three), abs=2e-3)
    assert [each.key for each in stacked.results] == [each.key for each in three.results]
    assert min(abs(values(three)[one] - values(three)[other]) for one, other in ((0, 1), (1, 2), (0, 2))) > 5e-3
    results = [json.loads(path.read_text())["result"] for path in sorted(tmp_path.rglob("result.json"))]
    assert [each["together"] for each in results] == [2, 2, 1]
    assert all(each.seconds > 0 for each in stacked.results)


def test_a_stack_that_was_killed_goes_on_with_what_is_not_finished(three, tmp_path):
    class Killed(BaseException):
        pass

    def kill(name: str, message: str) -> None:
        if name.endswith("seed-1") and message.startswith("measuring"):
            raise Killed

    whole = study("one rate", TABLE.cells[:1], 3)
    with pytest.raises(Killed):
        whole.do(functools.partial(run, root=tmp_path, stack=3, listener=kill))
    ended, told = [], []
    again = whole.do(
        functools.partial(run, root=tmp_path, stack=3, listener=lambda *said: told.append(said)), ended.append
    )
    assert values(again) == pytest.approx(values(three), abs=2e-3)
    assert [outcome.earlier for outcome in ended] == [True, False, False]
    # Nothing is trained again.
    assert {message for _, message in told if message.startswith("training")} == {"training 100 %"}


def test_a_seed_that_fails_after_a_training_together_takes_no_other_with_it(three, tmp_path):
    def fail(name: str, message: str) -> None:
        if name.endswith("seed-0") and message.startswith("measuring"):
            raise ArithmeticError("no more")

    found = study("one rate", TABLE.cells[:1], 2).do(functools.partial(run, root=tmp_path, stack=2, listener=fail))
    assert [each.failure for each in found.results] == ["ArithmeticError: no more", None]
    assert values(found) == {1: pytest.approx(values(three)[1], abs=2e-3)}


def test_stacks_that_diverge_say_so_seed_by_seed(tmp_path):
    divergent = study("divergent", TABLE.cells[:1])
    jobs = divergent.runs({TABLE.cells[0]: 1e38})
    found = list(run(list(jobs), tmp_path, stack=2))
    assert [outcome.job.seed for outcome in found] == [0, 1]
    assert all("lower the learning rate" in outcome.result["diverged"] for outcome in found)


class Two(CellRecipe):
    """Finds two numbers of a seed: one that grows with the learning rate, one that does not."""

    def config(self, seed):
        return None

    def check_data(self):
        pass

    def evaluations(self):
        return 1

    def run(self, seed, folder, listener):
        return {"value": seed + self.settings["lr"], "error": 0.1, "other": 10.0 - seed, "other_error": 0.2}


RECIPES = Two({"name": "a"}), Two({"name": "b"})
PAIRS = tuple(
    Cell(row, column, recipe, quantity=quantity)
    for row, quantity in (("first", "value"), ("second", "other"))
    for column, recipe in zip("ab", RECIPES, strict=True)
)


def paired(higher: bool, cells=PAIRS) -> Reproduction:
    rates = Protocol("two rates", {}, (0.1, 0.2), {})
    table = Table("pairs", "Pairs", "Nobody", "", PAIRS, (Claim("second", "a", "b"),), {"rates": rates}, higher=higher)
    return Reproduction(table, rates, tuple(cells), 2)


@pytest.mark.parametrize("higher", [False, True])
def test_cells_with_one_recipe_share_its_runs(higher, tmp_path):
    pairs = paired(higher)
    findings = pairs.do(functools.partial(run, root=tmp_path))
    assert pairs.count() == findings.count() == 2 * 2 + 2 * 2
    names = ["lr-0.1", "lr-0.2", "seed-0", "seed-1"]
    assert sorted(path.parent.name for path in tmp_path.glob("*/*/*/result.json")) == sorted(2 * names)
    assert list(findings.values("second", "a").values()) == [10.0, 9.0]
    assert {each.error for each in findings.results if each.row == "second"} == {0.2}
    # The first row chooses the learning rate: the highest value or the lowest.
    assert {each.lr for each in findings.results} == {0.2 if higher else 0.1}
    assert findings.page().title == "Pairs"


def test_a_cell_alone_finds_the_runs_of_those_it_shares_them_with(tmp_path):
    engine = functools.partial(run, root=tmp_path)
    paired(False).do(engine)
    again = []
    findings = paired(False, PAIRS[2:3]).do(engine, again.append)
    assert all(outcome.earlier for outcome in again)
    assert list(findings.values("second", "a").values()) == [10.0, 9.0]


def test_a_gain_is_the_other_way_round_where_higher_is_better(tmp_path):
    values = {"a": (3.0, 4.0), "b": (1.0, 1.5)}
    results = tuple(
        RunResult("second", column, seed, 0.1, value) for column in "ab" for seed, value in enumerate(values[column])
    )
    for higher, gain in ((False, -2.25), (True, 2.25)):
        (verdict,) = Findings(paired(higher).table, "", PAIRS, results).verdicts()
        assert verdict.gain == gain
