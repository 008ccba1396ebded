"""The table of records leaves none out, and links to the pages that show them."""

from __future__ import annotations

import re
from pathlib import Path

from benchmarks import RESULTS
from drawgrad.studies.records import read
from tools.record_table import records


def test_every_record_has_a_row() -> None:
    rows = [line for line in records().splitlines() if line.startswith("|")][2:]
    assert len(rows) == len(list(RESULTS.glob("*.json")))
    titles = [read(file).title.replace("|", "\\|") for file in RESULTS.glob("*.json")]
    assert all(any(title in row for row in rows) for title in titles)
    assert {len(re.findall(r"(?<!\\)\|", row)) for row in rows} == {6}, "a title must not end its cell"


def test_rows_link_to_the_pages_that_show_them() -> None:
    (row,) = (line for line in records().splitlines() if "Progress to the optimum" in line)
    assert "(learn/score-functions.md)" in row


def test_a_record_that_no_page_shows_says_so(tmp_path: Path) -> None:
    text = (RESULTS / "coin.json").read_text()
    (tmp_path / "other.json").write_text(text.replace('"name": "coin"', '"name": "other"'))
    assert "the file alone" in records(tmp_path)
