"""The examples of experts and tokens run in their short form, and leave a record and a figure."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from tests.examples.test_parts import numbers, run

EXAMPLES = {
    "experts": {"dense, of equal active size", "sparse", "SparseMixer", "dense gradient"},
    "tokens": {"all patches", "half, selected", "a quarter, selected"},
}
"""Some of the cases that each record has."""


@pytest.mark.parametrize("name", EXAMPLES)
def test_runs(name: str, shared_data: Path, tmp_path: Path) -> None:
    record = run(name, shared_data, tmp_path)
    assert {cell.case for cell in record.measurements} >= EXAMPLES[name]
    assert (tmp_path / f"{name}.png").stat().st_size > 10_000
    torch.manual_seed(99)
    assert numbers(run(name, shared_data, tmp_path)) == numbers(record) != []
