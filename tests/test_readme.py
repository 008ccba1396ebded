"""README says what is so: its code runs, its numbers are those of the records, its files and commands exist."""

from __future__ import annotations

import doctest
import re
from pathlib import Path

import pytest

from tools.render_readme import main

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()
TEXTS = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]


def failures(text: str) -> int:
    """How many examples of a text's Python blocks fail, or show something else than is written; one after the other."""
    blocks = re.findall(r"^ *```python\n(.*?)^ *```$", text, re.DOTALL | re.MULTILINE)
    assert blocks
    assert all(">>> " in block for block in blocks), "a block without >>> would not be checked"
    test = doctest.DocTestParser().get_doctest("\n".join(blocks), {}, "README", "README.md", 0)
    return doctest.DocTestRunner(verbose=False, optionflags=doctest.ELLIPSIS).run(test).failed


class TestCode:
    def test_runs_and_shows_what_is_written(self) -> None:
        assert failures(README) == 0

    @pytest.mark.parametrize("code", [">>> 1 + 1\n3\n", ">>> unknown\n"])
    def test_what_is_wrong_is_noticed(self, code: str) -> None:
        assert failures(f"```python\n>>> known = 1\n```\n```python\n{code}```\n") == 1


class TestText:
    def test_shows_the_committed_records_and_the_declared_estimators(self) -> None:
        assert main(["--check"]) == 0

    @pytest.mark.parametrize("text", TEXTS, ids=lambda path: path.relative_to(ROOT).as_posix())
    def test_its_files_exist(self, text: Path) -> None:
        named = re.findall(r"\]\(([\w./-]+)\)", text.read_text())
        assert [name for name in named if not (text.parent / name).exists()] == []

    def test_its_make_targets_exist(self) -> None:
        targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
        assert set(re.findall(r"(?:^|`)make ([a-z]+)", README, re.MULTILINE)) - targets == set()
