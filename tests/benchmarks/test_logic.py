"""The scripts that write records of logic, at tiny sizes, and what the committed records say."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from benchmarks import RESULTS, logic_engine, logic_gradients, logic_propagation
from drawgrad.logic import AllDifferent, Log, Problem, SoftDomains
from drawgrad.studies.records import Measurement, Record, read

SOLVED = "534678912672195348198342567859761423426853791713924856961537284287419635345286179"


def cell(record: Record, case: str, quantity: str) -> Measurement:
    (found,) = (c for c in record.measurements if c.case.startswith(case) and c.quantity == quantity)
    return found


def test_the_record_of_the_engine(tmp_path: Path) -> None:
    pytest.importorskip("ortools")
    pytest.importorskip("constraint")
    (tmp_path / "sudoku").mkdir()
    lines = ["puzzle,solution", *(f"{SOLVED[:9]}{'0' * n}{SOLVED[9 + n :]},{SOLVED}" for n in (5, 9))]
    (tmp_path / "sudoku" / "evil.csv").write_text("\n".join(lines) + "\n")
    record = read(logic_engine.main(tmp_path, singles=(2, 2), patience=60.0, folder=tmp_path))
    for case in ("drawgrad", "OR-tools", "python-constraint"):
        assert cell(record, case, "solved").value == 100
        assert cell(record, case, "boards/s").value > 0
    logic_engine.give_up()
    assert logic_engine.with_constraint([-1] * 81, patience=0.0) is None
    logic_engine.give_up()


def test_the_record_of_propagation(tmp_path: Path) -> None:
    record = read(logic_propagation.main(2, (20,), (1,), repeats=2, folder=tmp_path))
    assert cell(record, "20 variables, 4 constraints", "time").value > 0
    assert cell(record, "loop over constraints, formula", "against drawgrad").value > 0


def test_the_loops_compute_the_same() -> None:
    problem = Problem(5, 3, [AllDifferent([0, 1, 2]), AllDifferent([2, 3, 4])])
    probs = torch.rand(4, 5, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    expected = problem.propagate(SoftDomains(probs), rounds=3).elements
    found = logic_propagation.looped(problem, probs, logic_propagation.written_out, 3)
    torch.testing.assert_close(found, expected)


def test_the_record_of_gradients(tmp_path: Path) -> None:
    record = read(logic_gradients.main(draws=5, folder=tmp_path))
    assert {c.case for c in record.measurements} == {*logic_gradients.PROBLEMS}


@pytest.mark.parametrize("case", logic_gradients.PROBLEMS)
def test_one_round_in_log_is_exact_for_one_constraint_that_sums_over_tuples(case: str) -> None:
    problem = logic_gradients.PROBLEMS[case]
    cosine, error = logic_gradients.compare(problem, Log(), 1, 5)
    other_rule = case in ("AllDifferent of 4", "AllDifferent of 4, without hidden singles", "Element", "Clause of 4")
    exact = len(problem.constraints) == 1 and not other_rule
    assert (float(cosine.min()) > 1 - 1e-9) == exact
    assert (float(error.max()) < 1e-6) == exact


class TestCommittedRecords:
    def test_of_the_engine(self) -> None:
        record = read(RESULTS / "logic-engine.json")
        assert cell(record, "drawgrad", "boards/s").value > 20_000
        assert cell(record, "OR-tools", "drawgrad against it").value > 50

    def test_of_propagation(self) -> None:
        record = read(RESULTS / "logic-propagation.json")
        assert cell(record, "loop over constraints, formula", "against drawgrad").value > 5
        large, small = (cell(record, f"{n} variables", "time a variable").value for n in ("10,000", "1,000"))
        assert large < 2 * small
