"""A published table in Markdown: whole, in part, or not done at all."""

from __future__ import annotations

from pathlib import Path

import pytest

from drawgrad.studies.records import Measurement, Record, provenance
from tools.published_table import printed_table, published_table
from tools.render_readme import render

CELLS = [
    Measurement("A", "SBN, evaluations", 1, 0.0, "", 1),
    Measurement("A", "SBN, printed", 72.0, 0.0, "", 1),
    Measurement("A", "SBN", 70.123, 0.05, "", 3),
    Measurement("A", "SBN, learning rate", 1e-3, 0.0, "", 3),
    Measurement("A", "SBN, seconds", 95.0, 1.0, "s", 3),
    Measurement("A", "SBN, failed", 0, 0.0, "", 3),
    Measurement("A", "VAE, evaluations", 2, 0.0, "", 1),
    Measurement("B", "SBN, evaluations", 4, 0.0, "", 1),
    Measurement("B", "SBN", 69.0, 0.0, "", 1),
    Measurement("B", "SBN, failed", 2, 0.0, "", 3),
    Measurement("B", "SBN, learning rate", 3e-3, 0.0, "", 1),
    Measurement("B", "SBN, seconds", 200.0, 0.0, "s", 1),
    Measurement("SBN: B beats A", "printed gain", 2.0, 0.0, "", 1),
    Measurement("SBN: B beats A", "gain", 1.1, 0.1, "", 3),
    Measurement("SBN: B beats A", "p", 0.012, 0.0, "", 3),
]


def record(cells: list[Measurement]) -> Record:
    return Record(
        name="small", title="A table", measurements=tuple(cells), spread="standard error over seeds",
        command="drawgrad reproduce small", seconds=600.0, **vars(provenance()),
    )  # fmt: skip


def test_printed_and_our_figures_stand_side_by_side() -> None:
    text = published_table(record(CELLS))
    assert "|  | evaluations a step | SBN: printed | ours |" in text
    assert "| A | 1 | 72.0 | 70.12 ± 0.05 (3) |" in text
    assert "| B | 4 |  | 69.00 (1), 2 failed |" in text
    assert "| SBN: B beats A | 2.0 | 1.10 ± 0.10 | 3 | 0.012 | holds |" in text
    assert "| B | 0.003, 200 s |  |" in text
    assert "sum to 10 minutes" in text


def test_a_row_without_printed_figures_has_a_table_of_its_own_and_says_what_is_not_done() -> None:
    text = published_table(record(CELLS))
    assert "|  | evaluations a step | VAE |" in text
    assert "| A | 2 | not done |" in text
    # B has no such cell, and none is missing.
    assert "| B |  |" not in text


def test_the_printed_cells_alone() -> None:
    text = printed_table(record(CELLS))
    assert "| A | 1 | 72.0 | 70.12 ± 0.05 (3) |" in text
    assert not any(other in text for other in ("| B |", "VAE", "beats", "0.003", "minutes"))


def test_claims_of_one_seed_are_not_tested() -> None:
    text = published_table(record([cell for cell in CELLS if cell.quantity != "p"]))
    assert "| SBN: B beats A | 2.0 | 1.10 ± 0.10 | 3 |  | one seed |" in text
    assert "Claims" not in published_table(record(CELLS[:6]))


@pytest.mark.parametrize("kind", ["published", "printed"])
def test_a_page_does_not_need_the_record(kind: str, tmp_path: Path) -> None:
    block = f"<!-- {kind}: small -->\n<!-- end -->\n"
    assert "Not done yet." in render(block, tmp_path)
