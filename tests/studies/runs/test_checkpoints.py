"""Checkpoints are whole or absent, and damaged ones are skipped."""

from __future__ import annotations

import pickle
import warnings
from pathlib import Path

import pytest
import torch

from drawgrad.studies.runs.checkpoints import CheckpointError, Checkpoints


@pytest.fixture
def checkpoints(tmp_path: Path) -> Checkpoints:
    return Checkpoints(tmp_path / "checkpoints")


def state(step: int) -> dict:
    return {"step": step, "weights": torch.full((1000,), float(step))}


def test_what_is_saved_is_loaded(checkpoints):
    assert checkpoints.load_newest() is None
    for step in (5, 10, 1000):
        checkpoints.save(step, state(step))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        loaded = checkpoints.load_newest()
    assert loaded["step"] == 1000
    assert torch.equal(loaded["weights"], state(1000)["weights"])


def test_only_the_newest_are_kept(checkpoints):
    for step in range(0, 1_100_000, 100_000):
        checkpoints.save(step, state(step))
    assert [path.name for path in checkpoints.paths()] == [
        "step-001000000.pt",
        "step-000900000.pt",
        "step-000800000.pt",
    ]
    assert len(list(checkpoints.folder.iterdir())) == 3


@pytest.mark.parametrize("kept", [0, 1, 200, 3000])
def test_a_truncated_one_is_told_and_the_one_before_it_is_used(checkpoints, kept):
    checkpoints.save(1, state(1))
    newest = checkpoints.save(2, state(2))
    newest.write_bytes(newest.read_bytes()[:kept])
    with pytest.warns(RuntimeWarning, match=f"^{newest} is damaged and is skipped"):
        loaded = checkpoints.load_newest()
    assert loaded["step"] == 1


def test_if_none_can_be_read_it_is_told(checkpoints):
    for step in (1, 2):
        checkpoints.save(step, state(step)).write_bytes(b"nothing")
    with (
        pytest.warns(RuntimeWarning, match="is damaged and is skipped"),
        pytest.raises(CheckpointError, match=f"^none of the 2 checkpoints in {checkpoints.folder} can be read; delete"),
    ):
        checkpoints.load_newest()


class _Malicious:
    def __reduce__(self):
        return (Path.touch, (Path("executed"),))


def test_loading_runs_no_code(checkpoints, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    checkpoints.save(1, state(1))
    torch.save({"step": _Malicious()}, checkpoints.folder / "step-000000002.pt")
    (checkpoints.folder / "step-000000003.pt").write_bytes(pickle.dumps(_Malicious(), protocol=2))
    with pytest.warns(RuntimeWarning, match="is damaged and is skipped"):
        assert checkpoints.load_newest()["step"] == 1
    assert not Path("executed").exists()


def test_a_half_written_checkpoint_is_none(checkpoints):
    path = checkpoints.save(1, state(1))
    path.with_name(".step-000000002.pt.part").write_bytes(b"half")
    assert checkpoints.load_newest()["step"] == 1
