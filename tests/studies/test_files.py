"""Files are whole or absent."""

from __future__ import annotations

import errno
import os
import resource
import signal
import subprocess
import sys

import pytest

from drawgrad.studies.files import write_atomically


def test_what_is_written_is_there(tmp_path):
    path = tmp_path / "file"
    write_atomically(path, "ein Maß\n")
    assert path.read_bytes() == "ein Maß\n".encode()
    write_atomically(path, b"\x00\xff")
    assert path.read_bytes() == b"\x00\xff"
    assert [entry.name for entry in tmp_path.iterdir()] == ["file"]


@pytest.mark.parametrize("moment", ["fsync", "replace"])
def test_a_write_that_fails_leaves_the_old_file_and_nothing_else(tmp_path, monkeypatch, moment):
    path = tmp_path / "file"
    write_atomically(path, "old")

    def fail(*args: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(os, moment, fail)
        with pytest.raises(OSError, match="No space left on device") as caught:
            write_atomically(path, "new")
    assert caught.value.filename == str(path)
    assert path.read_text() == "old"
    assert [entry.name for entry in tmp_path.iterdir()] == ["file"]
    write_atomically(path, "new")
    assert path.read_text() == "new"


def test_a_file_that_the_system_cuts_is_none(tmp_path):
    """A real limit, in a process of its own: the file may not grow beyond 1000 bytes."""
    program = (
        "import pathlib, sys\n"
        "from drawgrad.studies.files import write_atomically\n"
        "write_atomically(pathlib.Path(sys.argv[1]), b'x' * 5000)\n"
    )

    def limit() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))

    done = subprocess.run(
        [sys.executable, "-B", "-c", program, str(tmp_path / "file")],
        preexec_fn=limit,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert f"File too large: '{tmp_path / 'file'}'" in done.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("place", ["folder", "missing/file", "file/below"])
def test_where_no_file_can_be_is_named(tmp_path, place):
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError, match=str(tmp_path / place)):
        write_atomically(tmp_path / place, "text")
