"""Files that appear with their whole content, or not at all."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

__all__ = ["write_atomically"]


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
