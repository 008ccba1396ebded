"""The examples of codebooks, gates and the like run in their short form, and leave a record and a figure."""

from __future__ import annotations

import importlib
from pathlib import Path

import pytest
import torch

from drawgrad.studies.records import Measurement, Record, read

EXAMPLES = {
    "l0-gates": {"dense", "gates, one penalty for all weights", "printed, one for each layer"},
    "codebook": {"nearest code", "ReinMax"},
    "feature-selection": {"5 of 64, digits", "2 of 30, breast cancer"},
    "learned-levels": {"32 bits", "2 bits", "2, 3 or 4 bits, chosen for each unit"},
    "operation-search": {"random search, best of 6", "mixer, the drawn operation runs"},
}
"""Some of the cases that each record has."""


TIMES = {"ms", "s", "x"}
"""Units of times and of their ratios, which are never the same twice."""


def numbers(record: Record) -> list[Measurement]:
    """All that a seed decides."""
    return [cell for cell in record.measurements if cell.unit not in TIMES]


def run(name: str, data: Path, out: Path) -> Record:
    main = importlib.import_module(f"examples.{name.replace('-', '_')}").main
    main(["--short", "--data-dir", str(data), "--out", str(out)])
    return read(out / f"{name}.json")


@pytest.mark.parametrize("name", EXAMPLES)
def test_runs(name: str, shared_data: Path, tmp_path: Path) -> None:
    record = run(name, shared_data, tmp_path)
    assert {cell.case for cell in record.measurements} >= EXAMPLES[name]
    assert (tmp_path / f"{name}.png").stat().st_size > 10_000
    assert record.command == f"python -m examples.{name.replace('-', '_')} --short"
    torch.manual_seed(99)
    assert numbers(run(name, shared_data, tmp_path)) == numbers(record) != []
