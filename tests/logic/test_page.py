"""docs/logic.md: every line of code on it runs, and gives what it shows."""

from __future__ import annotations

import doctest
import re
from pathlib import Path

import pytest

pytest.importorskip("ortools")

PAGE = Path(__file__).parents[2] / "docs" / "logic.md"
FILE = re.compile(r"```python\n# (\w+\.py)\n(.*?)```", re.DOTALL)
FENCE = re.compile(r"^```.*$", re.MULTILINE)


def failures(text: str) -> str:
    """What the examples of a text give instead of what it shows; empty if all is well."""
    names: dict[str, object] = {}
    for name, code in FILE.findall(text):
        Path(name).write_text(code)
        if name != "machine.py":
            exec(compile(code, name, "exec"), names)
    shown = FENCE.sub("", FILE.sub("", text))
    test = doctest.DocTestParser().get_doctest(shown, names, PAGE.name, str(PAGE), 0)
    assert test.examples
    told: list[str] = []
    doctest.DocTestRunner(verbose=False).run(test, out=told.append)
    return "".join(told)


def test_the_examples(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert failures(PAGE.read_text()) == ""


def test_a_wrong_example_is_noticed() -> None:
    assert "Got:" in failures("```python\n>>> 1 + 1\n3\n\n```\n")
