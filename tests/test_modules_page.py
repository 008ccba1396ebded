"""docs/modules.md says what is so: its examples run."""

from __future__ import annotations

from pathlib import Path

from tests.test_readme import failures

PAGE = (Path(__file__).parents[1] / "docs" / "modules.md").read_text()


def test_its_examples_show_what_is_written() -> None:
    assert failures(PAGE) == 0
