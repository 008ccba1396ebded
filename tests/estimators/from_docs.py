"""The estimators that docs/writing-an-estimator.md defines, from its text."""

from __future__ import annotations

import re
import sys
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

__all__ = ["PAGE", "definitions", "examples", "source"]

PAGE = Path(__file__).parents[2] / "docs" / "writing-an-estimator.md"


def _blocks(prompted: bool) -> str:
    blocks = re.findall(r"^```python\n(.*?)^```$", PAGE.read_text(), re.DOTALL | re.MULTILINE)
    return "\n".join(block for block in blocks if (">>> " in block) == prompted)


def source() -> str:
    """The page's blocks without a prompt, one after the other."""
    return _blocks(prompted=False)


def examples() -> str:
    """The page's blocks with a prompt."""
    return _blocks(prompted=True)


@cache
def definitions() -> dict[str, Any]:
    """The names that the page defines."""
    module = ModuleType("writing_an_estimator")
    sys.modules[module.__name__] = module  # where dataclasses look for it
    exec(compile(source(), str(PAGE), "exec", dont_inherit=True), vars(module))
    return vars(module)
