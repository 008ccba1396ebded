"""The record of a reproduced table on a page: what is printed, what was found, and what is not there."""

from __future__ import annotations

import pytest

from drawgrad.studies.records import provenance, read, write
from drawgrad.studies.reproduction import Findings, RunResult
from drawgrad.studies.reproduction.record import measurements
from tests.studies.reproduction.small import TABLE
from tools.published_table import published_table

RUNS = {
    ("SBN", "relaxed"): (30.0, 30.2, 30.1), ("SBN", "ST"): (31.0, 31.1, 31.05),
    ("VAE", "relaxed"): (40.0,), ("VAE", "ST"): (41.0,),
}  # fmt: skip


@pytest.fixture
def page(tmp_path):
    def of(runs) -> list[list[str]]:
        results = [
            RunResult(row, column, seed, 0.01, value, key=f"{row} {column} {seed}")
            for (row, column), values in runs.items()
            for seed, value in enumerate(values)
        ]
        results.append(RunResult("VAE", "ours", 0, 0.01, failure="out of memory", key="failed"))
        cells = measurements(Findings(TABLE, "", TABLE.cells, tuple(results)))
        path = write("small", "Small", cells, spread="standard error over seeds", command="", seconds=1.0,
                     folder=tmp_path, origin=provenance())  # fmt: skip
        lines = published_table(read(path)).splitlines()
        return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines if line]

    return of


def test_printed_figures_stand_beside_ours(page):
    head, _, relaxed, st, ours, *_ = page(RUNS)
    assert head == ["", "evaluations", "SBN, printed", "ours", "VAE, printed", "ours"]
    assert relaxed == ["relaxed", "1", "30.0", "30.10 ± 0.06 (3)", "30.0", "40.0 (1)"]
    assert st == ["ST", "1", "31.0", "31.05 ± 0.03 (3)", "31.0", "41.0 (1)"]
    assert ours == ["ours", "2 or 4", "", "not done", "", "1 failed"]


def test_claims_have_their_verdict(page):
    *_, holds, one = page(RUNS)
    assert holds == ["SBN: relaxed beats ST", "1.0", "0.95 ± 0.03 (3)", "0.00092", "holds"]
    assert one == ["VAE: ST beats relaxed", "-1.0", "-1.00 (1)", "", "one seed"]
    swapped = RUNS | {("SBN", "relaxed"): (32.0, 32.2, 32.1), ("VAE", "ST"): (40.5, 40.6, 40.5),
                      ("VAE", "relaxed"): (40.4, 40.7, 40.6)}  # fmt: skip
    *_, reverse, undecided = page(swapped)
    assert (reverse[-1], undecided[-1]) == ("the reverse", "undecided")


def test_without_runs_there_are_no_claims(page):
    assert not [line for line in page({}) if "claim of the paper" in line]
