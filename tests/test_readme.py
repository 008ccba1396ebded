"""README says what is so: its code runs, its numbers are those of the records, its files and commands exist."""

from __future__ import annotations

import doctest
import re
from pathlib import Path

import pytest

from tools.render_readme import main

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()
BLOCKS = re.findall(r"^```python\n(.*?)^```$", README, re.DOTALL | re.MULTILINE)


def _failures(block: str) -> int:
    """How many examples of a block of code fail, or show something else than the text says."""
    test = doctest.DocTestParser().get_doctest(block, {}, "README", "README.md", 0)
    assert test.examples, "a block without >>> would not be checked"
    return doctest.DocTestRunner(verbose=False).run(test).failed


class TestCode:
    @pytest.mark.parametrize("block", BLOCKS)
    def test_runs_and_shows_what_is_written(self, block: str) -> None:
        assert _failures(block) == 0

    @pytest.mark.parametrize("block", [">>> 1 + 1\n3\n", ">>> unknown\n"])
    def test_a_wrong_one_is_noticed(self, block: str, capsys: pytest.CaptureFixture[str]) -> None:
        assert _failures(block) == 1


class TestText:
    def test_shows_the_committed_records(self) -> None:
        assert main(["--check"]) == 0

    def test_its_files_exist(self) -> None:
        named = re.findall(r"\]\(([\w./-]+)\)", README)
        assert [name for name in named if not (ROOT / name).exists()] == []

    def test_its_make_targets_exist(self) -> None:
        targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
        assert set(re.findall(r"\bmake ([a-z]+)\b", README)) - targets == set()
