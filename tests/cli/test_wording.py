"""What the system refuses, in one line."""

from __future__ import annotations

import errno
import os

import pytest
import torch

from drawgrad.cli.wording import of_memory, of_system


@pytest.mark.parametrize(
    ("number", "name", "line"),
    [
        (errno.ENOSPC, "a/b", "a/b: no space left on device; make room, or choose another folder with --out"),
        (errno.EACCES, "a/b", "a/b: permission denied; choose another folder with --out"),
        (errno.ENAMETOOLONG, "x" * 300, f"{'x' * 50}...{'x' * 50}: file name too long; choose a shorter name"),
        (errno.EIO, "a", "a: input/output error"),
        (errno.ENOSPC, None, "standard output: no space left on device; make room, or choose another folder with"),
    ],
)
def test_of_the_system(number: int, name: str | None, line: str) -> None:
    assert of_system(OSError(number, os.strerror(number), name)).startswith(line)


def test_of_the_system_without_a_number() -> None:
    assert of_system(OSError("something else")) == "standard output: something else"


def test_of_memory() -> None:
    with pytest.raises(RuntimeError) as refused:
        torch.empty(2**50)
    assert of_memory(refused.value)
    assert of_memory(MemoryError())
    assert not of_memory(RuntimeError("shapes differ"))
    assert not of_memory(ValueError("cannot allocate memory"))
