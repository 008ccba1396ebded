"""The record of a table: written as runs finish, merged, and taken up again."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from drawgrad.studies import records
from drawgrad.studies.engine import Ledger, LedgerError, Outcome
from drawgrad.studies.records import provenance, read
from drawgrad.studies.reproduction import Reproduction, TableRecord, TableRecordError
from drawgrad.studies.reproduction.reproduction import TRIAL_SEED
from tests.studies.reproduction.small import TABLE

ORIGIN = vars(provenance())
TYPED = "drawgrad reproduce small --seeds {}"


def study(cells=slice(None), seeds: int = 2, protocol: str = "quick") -> Reproduction:
    return Reproduction(TABLE, TABLE.protocols[protocol], TABLE.cells[cells], seeds)


def add(ledger: Ledger, chosen: Reproduction, first: float = 30.0) -> None:
    """All runs of a study, as if they had been done: the higher learning rate is the better one."""

    def engine(jobs):
        for job in jobs:
            lr = job.recipe.settings["lr"]
            value = first + (1 - lr if job.seed == TRIAL_SEED else job.seed)
            outcome = Outcome(job, Path(), 60.0, {"value": value, "error": 0.1}, origin=ORIGIN)
            ledger.add(outcome)
            yield outcome

    chosen.do(engine)


def cells(path: Path) -> dict[tuple[str, str], records.Measurement]:
    return {(cell.case, cell.quantity): cell for cell in read(path).measurements}


def test_it_holds_printed_figures_ours_and_what_they_cost(tmp_path):
    record = TableRecord(study(), tmp_path, TYPED)
    assert record.update() is None
    add(record.ledger, study(slice(2)))
    path = record.update()
    assert path == tmp_path / "small.json"
    found = cells(path)
    ours = found["relaxed", "SBN"]
    assert (ours.value, ours.spread, ours.samples) == (30.5, 0.5, 2)
    assert found["relaxed", "SBN, printed"].value == 30.0
    assert found["relaxed", "SBN, learning rate"].value == 1e-2
    assert found["relaxed", "SBN, seconds"].value == 60.0
    assert found["relaxed", "SBN, failed"].value == 0
    assert found["ours", "SBN, evaluations"].value == 4
    assert (found["SBN: relaxed beats ST", "gain"].value, found["SBN: relaxed beats ST", "p"].value) == (0.0, 1.0)
    # Of what was not done, the evaluations are known, and what was printed.
    assert not {("ours", "SBN"), ("relaxed", "VAE"), ("ours", "SBN, printed")} & found.keys()
    assert found["relaxed", "VAE, printed"].value == 30.0
    whole = read(path)
    assert (whole.command, whole.seconds) == ("drawgrad reproduce small --seeds 2", 8 * 60)


def test_other_cells_and_seeds_are_added_by_whoever_does_them(tmp_path):
    for chosen in (study(slice(1)), study(slice(2, 3)), study(slice(1), seeds=3)):
        record = TableRecord(chosen, tmp_path, TYPED)
        add(record.ledger, chosen)
        record.update()
    found = cells(tmp_path / "small.json")
    assert {case: cell.samples for (case, quantity), cell in found.items() if quantity == "SBN"} == {
        "relaxed": 3, "ours": 2,
    }  # fmt: skip
    assert len(Ledger(tmp_path / "runs" / "small.jsonl")) == 2 * 2 + 3 + 2


def test_a_learning_rate_is_chosen_once_all_trials_have_ended(tmp_path):
    record = TableRecord(study(), tmp_path, TYPED)
    trials = list(study(slice(1)).trials())
    record.ledger.add(Outcome(trials[0], Path(), 1.0, {"value": 1.0, "error": 0.1}, origin=ORIGIN))
    assert study().recorded(record.ledger).results == ()
    record.ledger.add(Outcome(trials[1], Path(), 1.0, {"diverged": "the loss is nan"}, origin=ORIGIN))
    found = study().recorded(record.ledger)
    assert [(each.lr, each.failure) for each in found.trials] == [(1e-2, None), (1e-3, "the loss is nan")]
    assert {line[-1] for line in found.lines()} == {"not done"}


def test_what_an_earlier_version_found_stays_until_as_many_seeds_are_done_anew(tmp_path, monkeypatch):
    old = TableRecord(study(slice(2)), tmp_path, TYPED)
    add(old.ledger, study(slice(2)))
    old.update()
    monkeypatch.setattr(records, "NUMERICS", records.NUMERICS + 1)
    for seeds, value in ((1, 30.5), (2, 40.5)):
        new = TableRecord(study(slice(1), seeds), tmp_path, TYPED)
        add(new.ledger, study(slice(1), seeds), 40.0)
        found = cells(new.update())
        assert found["relaxed", "SBN"].value == value
        assert found["ST", "SBN"].value == 30.5
    assert len(new.ledger) == 2 * (2 + 2) + 2 + 2


def test_each_protocol_has_figures_of_its_own(tmp_path):
    assert study().name == "small"
    assert study(protocol="one rate").name == "small-one-rate"
    assert dataclasses.replace(study(), steps=100, settings={"device": "cuda:1"}).name == "small-100-steps-cuda-1"


@pytest.mark.parametrize("name", ["small.json", "runs/small.jsonl"])
def test_a_damaged_one_is_refused_and_stays(tmp_path, name):
    record = TableRecord(study(), tmp_path, TYPED)
    add(record.ledger, study(slice(1)))
    record.update()
    path = tmp_path / name
    damaged = path.read_text()[:-30]
    path.write_text(damaged)
    with pytest.raises((LedgerError, TableRecordError), match=path.name):
        TableRecord(study(), tmp_path, TYPED)
    if name == "small.json":
        with pytest.raises(TableRecordError, match=path.name):
            record.update()
    assert path.read_text() == damaged
