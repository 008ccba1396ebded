"""The text of plays."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from drawgrad.studies.data.files import DataError
from drawgrad.studies.data.text import Text, load_text

DATA = Path(os.environ.get("DRAWGRAD_DATA_DIR", Path(__file__).parents[3] / ".." / "shared" / "data"))


def test_parts_follow_each_other_and_can_be_read() -> None:
    text = Text.of("hello world, " * 20)
    assert text.alphabet == " ,dehlorw"
    assert [len(part) for part in (text.train, text.valid, text.test)] == [234, 13, 13]
    assert "".join(text.written(part) for part in (text.train, text.valid, text.test)) == "hello world, " * 20


def test_another_text_is_refused(tmp_path: Path) -> None:
    (tmp_path / "text").mkdir()
    (tmp_path / "text" / "tiny_shakespeare.txt").write_text("To be, or not to be")
    with pytest.raises(DataError, match=r"tiny_shakespeare.txt is damaged: its sha256 is \w+, but 86c4e6aa\w+ was exp"):
        load_text(tmp_path)


def test_a_missing_text_says_where_it_belongs(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"text/tiny_shakespeare.txt is missing; put it there"):
        load_text(tmp_path)


@pytest.mark.skipif(not (DATA / "text").exists(), reason="no text in the data folder")
def test_the_real_text_begins_as_it_should() -> None:
    text = load_text(DATA)
    assert text.written(text.train[:13]) == "First Citizen"
    assert (len(text.alphabet), len(text.train) + len(text.valid) + len(text.test)) == (65, 1_115_394)
