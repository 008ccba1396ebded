"""The tables of estimators say what the classes declare, and leave none out."""

from __future__ import annotations

import pytest

from drawgrad.estimators import ESTIMATORS
from tools.estimator_table import claims, ideas, structures


def _rows(text: str) -> dict[str, list[str]]:
    """Cells by the estimator's name."""
    lines = [
        line.removeprefix("| ").removesuffix(" |").split(" | ") for line in text.splitlines() if line.startswith("| `")
    ]
    return {line[0].strip("`"): line[1:] for line in lines}


@pytest.mark.parametrize("table", [claims, ideas])
def test_every_estimator_has_a_row(table) -> None:
    assert _rows(table()).keys() == ESTIMATORS.keys()


@pytest.mark.parametrize(
    ("name", "cells"),
    [
        ("Exact", ["any whose states can be counted", "yes", "no", "1000"]),
        ("DisArm", ["Bernoulli", "yes", "no", "2"]),
        ("Rebar", ["categorical, Bernoulli", "yes", "yes", "2"]),
        ("ReinMax", ["categorical, Bernoulli", "no", "yes", "1"]),
        ("Simple", ["k-subsets", "no", "yes", "1"]),
        ("Pathwise", ["any with `rsample`", "yes", "yes", "1"]),
    ],
)
def test_claims_are_those_of_the_class(name: str, cells: list[str]) -> None:
    assert _rows(claims())[name] == cells


def test_a_changed_declaration_changes_the_table(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ESTIMATORS["ReinMax"], "unbiased", True)
    assert _rows(claims())["ReinMax"][1] == "yes"


def test_ideas_name_their_papers() -> None:
    rows = _rows(ideas())
    assert rows["ReinMax"] == [
        "**ReinMax.** Heun's trapezoid where straight-through takes Euler's step.",
        "Liu et al. 2023",
    ]
    assert rows["IndeCateR"][1] == "De Smet et al. 2023"
    assert rows["Reinforce"][1] == "Williams 1992; Mnih & Gregor 2014"
    assert {name for name, row in rows.items() if not row[-1]} == {"Exact"}
    assert not any(":class:" in cell for row in rows.values() for cell in row)


def test_structures_stand_beside_the_estimators_that_take_them() -> None:
    rows = {
        cells[1].strip(): (cells[2], cells[3])
        for line in structures().splitlines()
        if len(cells := line.split("|")) == 5
    }
    without, biased = rows["subsets, `KSubset`"]
    assert "`LeaveOneOut`" in without
    assert "`Simple`" in biased
    without, biased = rows["rankings, `PlackettLuce`"]
    assert "`UnorderedSet`" in without
    assert "`Simple`" not in without + biased
    # What has no countable states is not enumerated.
    assert "`Exact`" not in "".join(rows["gates, `HardConcrete`"])
