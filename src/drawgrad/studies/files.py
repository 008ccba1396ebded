"""Files that appear with their whole content, or not at all; folders that one process has to itself."""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Iterator
from pathlib import Path

__all__ = ["held", "lock", "write_atomically"]


def write_atomically(path: Path, content: bytes | str) -> None:
    """Write a file such that nobody ever sees a part of it, whatever happens meanwhile.

    Args:
        path: The file; replaced if it is there.
        content: All of it; text becomes UTF-8, whatever the locale.

    Raises:
        OSError: If it cannot be written, with the name of the file; a file that was there before stays as it was.
    """
    part = path.with_name(f".{path.name}.part")
    try:
        with part.open("wb") as file:
            file.write(content.encode() if isinstance(content, str) else content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(part, path)
    except OSError as error:
        # What failed may be the disk, which then has room again.
        with contextlib.suppress(OSError):
            part.unlink(missing_ok=True)
        raise OSError(error.errno, error.strerror, str(path)) from error


def lock(folder: Path, *, wait: bool = False) -> int | None:
    """Hold a folder until the handle is closed or the process ends, however it ends.

    Args:
        folder: That other processes are kept from.
        wait: For another process that holds it.

    Returns:
        The handle; None on a file system without locks.

    Raises:
        BlockingIOError: If another process holds it, unless we wait.
    """
    try:
        import fcntl
    except ImportError:  # Windows has no such locks: two processes in one folder are not noticed there.
        return None
    handle = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(handle)
        if error.errno in (errno.EWOULDBLOCK, errno.EACCES):
            raise BlockingIOError(error.errno, error.strerror) from error
        return None  # A file system without locks.
    return handle


@contextlib.contextmanager
def held(folder: Path) -> Iterator[None]:
    """Have a folder to oneself for a moment, once no other process has it."""
    handle = lock(folder, wait=True)
    try:
        yield
    finally:
        if handle is not None:
            os.close(handle)
