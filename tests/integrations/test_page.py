"""docs/bridges.md: its code runs, with a trainer that does nothing in the place of the reader's own."""

from __future__ import annotations

import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch

PAGE = Path(__file__).parents[2] / "docs" / "bridges.md"


def test_its_code_runs() -> None:
    trained: list[bool] = []
    names: dict[str, Any] = {"trainer": SimpleNamespace(train=lambda: trained.append(True))}
    blocks = re.findall(r"^```python\n(.*?)^```$", PAGE.read_text(), re.DOTALL | re.MULTILINE)
    assert len(blocks) == 3
    for block in blocks:
        exec(compile(block, str(PAGE), "exec", dont_inherit=True), names)
    assert trained
    x = torch.tensor([-2.1, 1.9, 2.2])
    for inference in ("one", "other"):
        names["pyro"].clear_param_store()
        assert names[inference].step(x) > 0
