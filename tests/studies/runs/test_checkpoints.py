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
    return Checkpoints(tmp_path / "checkpoints", "these")


def newest(checkpoints: Checkpoints) -> dict | None:
    """The state that a run would take up."""
    taken: list[dict] = []
    return taken[0] if checkpoints.restore(taken.append) else None


def state(step: int) -> dict:
    return {"step": step, "weights": torch.full((1000,), float(step))}


def test_what_is_saved_is_loaded(checkpoints):
    assert newest(checkpoints) is None
    for step in (5, 10, 1000):
        checkpoints.save(step, state(step))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        loaded = newest(checkpoints)
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
    last = checkpoints.save(2, state(2))
    last.write_bytes(last.read_bytes()[:kept])
    with pytest.warns(RuntimeWarning, match=f"^{last} is damaged and is skipped"):
        loaded = newest(checkpoints)
    assert loaded["step"] == 1


def test_if_none_can_be_read_it_is_told(checkpoints):
    for step in (1, 2):
        checkpoints.save(step, state(step)).write_bytes(b"nothing")
    with (
        pytest.warns(RuntimeWarning, match="is damaged and is skipped"),
        pytest.raises(CheckpointError, match=f"^none of the 2 checkpoints in {checkpoints.folder} can be read; delete"),
    ):
        newest(checkpoints)


class _Malicious:
    def __reduce__(self):
        return (Path.touch, (Path("executed"),))


def test_loading_runs_no_code(checkpoints, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    checkpoints.save(1, state(1))
    torch.save({"step": _Malicious()}, checkpoints.folder / "step-000000002.pt")
    (checkpoints.folder / "step-000000003.pt").write_bytes(pickle.dumps(_Malicious(), protocol=2))
    with pytest.warns(RuntimeWarning, match="is damaged and is skipped"):
        assert newest(checkpoints)["step"] == 1
    assert not Path("executed").exists()


def flipped(path: Path, position: int) -> None:
    content = bytearray(path.read_bytes())
    content[position] ^= 0x40
    path.write_bytes(content)


def test_a_flipped_bit_of_a_weight_is_noticed(checkpoints):
    checkpoints.save(1, state(1))
    path = checkpoints.save(2, state(2))
    weight = path.read_bytes().index(torch.full((1000,), 2.0).numpy().tobytes())
    flipped(path, weight + 2003)
    # torch itself takes it as it is.
    assert not torch.equal(torch.load(path, weights_only=True)["weights"], state(2)["weights"])
    with pytest.warns(RuntimeWarning, match=r"is damaged and is skipped \(the checksum of .*data/0 is wrong\)"):
        assert newest(checkpoints)["step"] == 1


def test_no_flipped_bit_changes_what_is_taken(checkpoints):
    checkpoints.save(1, state(1))
    path = checkpoints.save(2, state(2))
    whole = path.read_bytes()
    for position in range(0, len(whole), 97):
        flipped(path, position)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            found = newest(checkpoints)
        # Some bytes of an archive mean nothing.
        assert torch.equal(found["weights"], state(found["step"])["weights"])
        path.write_bytes(whole)


def test_a_checkpoint_of_other_settings_is_refused(checkpoints):
    path = checkpoints.save(1, state(1))
    others = Checkpoints(checkpoints.folder, "others")
    with pytest.raises(CheckpointError, match=f"^{path} was saved by a run with other settings; restore the settings"):
        newest(others)


def test_a_state_that_does_not_serve_is_skipped(checkpoints):
    for step in (1, 2):
        checkpoints.save(step, state(step))

    def take(found: dict) -> None:
        if found["step"] == 2:
            raise RuntimeError("Error(s) in loading state_dict:\n\tsize mismatch for weights")
        taken.append(found["step"])

    taken: list[int] = []
    with pytest.warns(
        RuntimeWarning, match=r"skipped \(it does not hold what this run needs: size mismatch for weights"
    ):
        assert checkpoints.restore(take)
    assert taken == [1]


def test_a_warning_gives_no_advice_to_run_code(checkpoints):
    checkpoints.save(1, state(1))
    torch.save({"step": _Malicious()}, checkpoints.folder / "step-000000002.pt")
    with pytest.warns(RuntimeWarning, match="tensors and numbers") as caught:
        newest(checkpoints)
    assert "weights_only" not in str(caught[0].message)


def test_numbers_of_any_length_are_in_order(checkpoints):
    for step in (999_999_999, 1_000_000_000, 20_000_000_000):
        checkpoints.save(step, state(step))
    assert newest(checkpoints)["step"] == 20_000_000_000
    assert len(checkpoints.paths()) == 3


def test_a_half_written_checkpoint_is_none(checkpoints):
    path = checkpoints.save(1, state(1))
    path.with_name(".step-000000002.pt.part").write_bytes(b"half")
    assert newest(checkpoints)["step"] == 1
