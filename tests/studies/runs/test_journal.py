"""The record of a run holds every step once."""

from __future__ import annotations

import warnings
from pathlib import Path

import pytest

from drawgrad.studies.runs.journal import Journal, read_metrics


@pytest.fixture
def paths(tmp_path: Path) -> tuple[Path, Path]:
    return tmp_path / "metrics.jsonl", tmp_path / "tensorboard"


def scalars(events: Path) -> dict[str, list[tuple[int, float]]]:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    # Orphans are not purged: what is shown twice is there twice.
    accumulator = EventAccumulator(str(events), purge_orphaned_data=False)
    accumulator.Reload()
    return {
        tag: [(event.step, event.value) for event in accumulator.Scalars(tag)] for tag in accumulator.Tags()["scalars"]
    }


def write(paths, begin: int, end: int) -> None:
    journal = Journal(*paths, begin)
    for step in range(begin + 1, end + 1):
        journal.write("train", step, elbo=-float(step), tau=0.5)
    journal.close()


def test_lines_and_events_say_the_same(paths):
    write(paths, 0, 4)
    assert read_metrics(paths[0])[-1] == {"kind": "train", "step": 4, "elbo": -4.0, "tau": 0.5}
    assert scalars(paths[1]) == {
        "train/elbo": [(step, -float(step)) for step in (1, 2, 3, 4)],
        "train/tau": [(step, 0.5) for step in (1, 2, 3, 4)],
    }


def test_a_resumed_run_has_every_step_once(paths):
    write(paths, 0, 7)
    write(paths, 4, 9)
    assert [line["step"] for line in read_metrics(paths[0])] == list(range(1, 10))
    assert [step for step, _ in scalars(paths[1])["train/elbo"]] == list(range(1, 10))


def test_a_line_that_was_cut_is_forgotten(paths):
    write(paths, 0, 3)
    with paths[0].open("a") as file:
        file.write('{"kind": "train", "step": 4, "el')
    assert [line["step"] for line in read_metrics(paths[0])] == [1, 2, 3]
    write(paths, 3, 5)
    assert [line["step"] for line in read_metrics(paths[0])] == [1, 2, 3, 4, 5]


def test_flushed_lines_are_on_the_disk(paths):
    journal = Journal(*paths, 0)
    journal.write("valid", 1, elbo=-1.0)
    journal.flush()
    assert len(read_metrics(paths[0])) == 1
    assert scalars(paths[1]) == {"valid/elbo": [(1, -1.0)]}
    journal.close()


def test_a_run_without_a_record_has_none(paths):
    assert read_metrics(paths[0]) == []


@pytest.mark.parametrize(
    "damage",
    [b"\xff\xfe\x00", b"{", b"7", b"[]", b"null", b'{"kind": "train"}', b'{"kind": 1, "step": "x"}',
     b'{"kind": "train", "step": 2, "elbo": "high"}', b"[" * 100_000],
)  # fmt: skip
def test_a_damaged_line_costs_only_itself(damage, paths):
    write(paths, 0, 5)
    lines = paths[0].read_bytes().splitlines()
    paths[0].write_bytes(b"\n".join([*lines[:1], damage, *lines[2:]]) + b"\n")
    with pytest.warns(RuntimeWarning, match=f"^line 2 of {paths[0]} cannot be read and is left out"):
        assert [line["step"] for line in read_metrics(paths[0])] == [1, 3, 4, 5]
    with pytest.warns(RuntimeWarning, match="cannot be read"):
        write(paths, 5, 7)
    assert [line["step"] for line in read_metrics(paths[0])] == [1, 3, 4, 5, 6, 7]
    assert [step for step, _ in scalars(paths[1])["train/elbo"]] == [1, 3, 4, 5, 6, 7]


def test_a_lost_record_is_told_and_an_empty_one_is_none(paths):
    with pytest.warns(RuntimeWarning, match=f"^{paths[0]} is lost: the record begins at step 3"):
        Journal(*paths, 3).close()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        Journal(*paths, 3).close()


def test_other_files_beside_the_events_stay(paths):
    paths[1].mkdir()
    (paths[1] / "mine.txt").write_text("precious")
    write(paths, 0, 2)
    write(paths, 2, 3)
    assert sorted(path.name.split(".")[0] for path in paths[1].iterdir()) == ["events", "mine"]


def test_a_full_disk_is_one_error_with_the_name_of_the_file(paths, monkeypatch):
    journal = Journal(*paths, 0)
    journal.write("train", 1, elbo=-1.0)
    with open("/dev/full", "ab", buffering=0) as full, monkeypatch.context() as patch:
        patch.setattr(journal._lines, "_file", full)
        with pytest.raises(OSError, match="No space left on device: '/dev/full'"):
            journal.write("train", 2, elbo=-1.0)
    journal.close()
    assert [line["step"] for line in read_metrics(paths[0])] == [1]
