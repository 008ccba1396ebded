"""The scripts that write records of estimators, at tiny sizes."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch
from torch.distributions import Bernoulli, OneHotCategorical

from benchmarks import RESULTS, coin, estimator_cost, literature, polynomial_programme, subsets
from benchmarks.estimator_cost import Size
from drawgrad.estimators import ESTIMATORS
from drawgrad.studies.exhibits.k_subset import AVERAGED, SETS
from drawgrad.studies.exhibits.polynomial import ESTIMATORS as POLYNOMIAL
from drawgrad.studies.records import Measurement, read


class TestEstimatorCost:
    def test_has_a_row_for_every_discrete_estimator(self, tmp_path: Path) -> None:
        record = read(estimator_cost.main(Size(3, 2, 3, 5), repeats=2, folder=tmp_path))
        times = {cell.case: cell for cell in record.measurements if cell.quantity == "time"}
        assert times.pop("the decoder alone").value > 0
        discrete = {
            name
            for name, cls in ESTIMATORS.items()
            for q in (OneHotCategorical(logits=torch.zeros(3)), Bernoulli(logits=torch.zeros(())))
            if cls().obstacle(q) is None
        }
        assert {case.removesuffix(" (binary)") for case in times} == discrete
        assert {case for case in times if case.endswith(" (binary)")} == {"Arm (binary)", "DisArm (binary)"}
        assert all(cell.value > 0 and cell.unit == "ms" for cell in times.values())

    def test_counts_evaluations(self) -> None:
        cells = estimator_cost.measure(Size(2, 2, 3, 4), repeats=2)
        found = {cell.case: cell.value for cell in cells if cell.quantity == "evaluations"}
        assert (found["Exact"], found["ReinMax"], found["DisArm (binary)"]) == (9, 1, 2)

    def test_leaves_out_an_enumeration_that_is_too_large(self) -> None:
        assert "Exact" not in {cell.case for cell in estimator_cost.measure(Size(1, 17, 2, 2), repeats=2)}


def test_the_record_of_the_coin(tmp_path: Path) -> None:
    record = read(coin.main(steps=(2, 5), runs=3, folder=tmp_path))
    assert {cell.quantity for cell in record.measurements} == {"2 steps", "5 steps"}
    assert {"REINFORCE", "REBAR", "RELAX"} <= {cell.case for cell in record.measurements}
    assert all(cell.samples == 3 for cell in record.measurements)


def test_the_record_of_claims(tmp_path: Path) -> None:
    record = read(literature.main(draws=2000, repeats=2, folder=tmp_path))
    found = {(cell.case, cell.quantity): cell.value for cell in record.measurements}
    assert {quantity for _, quantity in found} == {"measured", "claimed"}
    (printed,) = (value for (case, kind), value in found.items() if "as printed" in case and kind == "measured")
    (about,) = (value for (case, kind), value in found.items() if "about the sample" in case and kind == "measured")
    assert printed < 1e-6  # draw by draw, whatever is drawn
    assert abs(about - 1) < 0.2


def test_the_record_of_the_subsets(tmp_path: Path) -> None:
    record = read(subsets.main(counts=(2, 4), draws=400, folder=tmp_path))
    assert {cell.quantity for cell in record.measurements} == {"2 evaluations", "4 evaluations"}
    assert {cell.case for cell in record.measurements} == {*AVERAGED, *SETS}


def test_the_record_of_the_polynomial_programme(tmp_path: Path) -> None:
    record = read(polynomial_programme.main(steps=2, runs=2, folder=tmp_path))
    assert {cell.case for cell in record.measurements} == {*POLYNOMIAL, "optimum"}
    (optimum,) = (c.value for c in record.measurements if (c.case, c.quantity) == ("optimum", "p = 2"))
    assert optimum == pytest.approx(0.2025)


class TestCommittedRecords:
    """What README says of them."""

    @staticmethod
    def cells(name: str) -> dict[tuple[str, str], Measurement]:
        return {(cell.case, cell.quantity): cell for cell in read(RESULTS / f"{name}.json").measurements}

    def test_relax_reaches_the_optimum_of_the_coin_and_reinforce_does_not(self) -> None:
        cells = self.cells("coin")
        for name, low, high in (
            ("REINFORCE", 0.0, 0.5),
            ("REBAR", 0.0, 0.5),
            ("RELAX", 0.85, 1.0),
            ("REBAR, linear cost", 0.95, 1.0),
            ("DisARM", 0.99, 1.0),
        ):
            cell = cells[name, "10000 steps"]
            assert low < cell.value - 3 * cell.spread < cell.value + 3 * cell.spread < high

    @pytest.mark.parametrize("power", ["p = 1.5", "p = 2", "p = 3"])
    def test_reinmax_beats_straight_through_and_its_gumbel_softmax(self, power: str) -> None:
        cells = self.cells("polynomial-programme")
        best = cells["ReinMax", power]
        assert best.samples == 10
        for name in ("straight-through", "ST Gumbel-Softmax"):
            other = cells[name, power]
            assert other.value - best.value > 100 * math.hypot(other.spread, best.spread) > 0
        assert cells["optimum", power].value < cells["exact gradient", power].value < best.value
