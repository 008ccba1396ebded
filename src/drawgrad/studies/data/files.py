"""Files of data: found in a folder or downloaded into a cache, and accepted only with the expected content."""

from __future__ import annotations

import gzip
import os
import tempfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

__all__ = ["DataError", "RemoteFile", "cache_folder", "load_file"]

Parsed = TypeVar("Parsed")

GZIP_MAGIC = b"\x1f\x8b"


class DataError(ValueError):
    """A file of data that is missing, damaged or cannot be downloaded."""


@dataclass(frozen=True)
class RemoteFile:
    """A file of a data set.

    Args:
        path: Where it lies below the data folder; found packed or unpacked, with or without the ending `.gz`.
        urls: Where it can be downloaded; tried in order.
        content: The checksum that its parser expects.
    """

    path: str
    urls: tuple[str, ...]
    content: str


def cache_folder() -> Path:
    """The folder into which data is downloaded."""
    import pooch

    return Path(pooch.os_cache("drawgrad"))


def load_file(file: RemoteFile, parse: Callable[[bytes, str], Parsed], data_dir: Path | None = None) -> Parsed:
    """Read a file of data, downloading it first where no folder is given and the cache does not hold it.

    A download gets its final name only after its content was checked, so that the cache holds complete files only.

    Args:
        file: Which file.
        parse: Takes the uncompressed bytes and the expected checksum; raises :class:`DataError` for others.
        data_dir: The folder to read. Nothing is downloaded if it is given.

    Returns:
        What `parse` returns.

    Raises:
        DataError: If the file is missing, damaged, or cannot be downloaded.
    """
    folder = cache_folder() if data_dir is None else data_dir
    for name in dict.fromkeys((file.path, f"{file.path}.gz", file.path.removesuffix(".gz"))):
        path = folder / name
        if _is_there(path):
            try:
                return parse(_unpacked(path), file.content)
            except DataError as error:
                cure = "delete it to download it again" if data_dir is None else "replace it by an intact copy"
                raise DataError(f"{path} is damaged: {error}; {cure}") from error
    if data_dir is not None:
        raise DataError(
            f"{folder / file.path} is missing; put it there, or leave out the data folder to download it from "
            f"{file.urls[0]}"
        )
    return _download(file, parse, folder / file.path)


def _is_there(path: Path) -> bool:
    """Whether there is such a file; something else, or a folder that may not be read, is an error of its own."""
    try:
        path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError as error:
        raise DataError(f"{path} cannot be read ({error.strerror}); give another data folder") from error
    if not path.is_file():
        raise DataError(f"{path} is no file; remove it and put the file there")
    return True


def _unpacked(path: Path) -> bytes:
    try:
        content = path.read_bytes()
        return gzip.decompress(content) if content.startswith(GZIP_MAGIC) else content
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"it cannot be read to its end ({error})") from error


@contextmanager
def _room_beside(target: Path) -> Iterator[Path]:
    """A folder for a while, in the one where a file is to be."""
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        room = tempfile.TemporaryDirectory(dir=target.parent, prefix=".download-")
    except OSError as error:
        raise DataError(
            f"the cache {target.parent} cannot be written ({error.strerror}); give a data folder that holds "
            f"{target.name}, or set XDG_CACHE_HOME to a folder of your own"
        ) from error
    with room as folder:
        yield Path(folder)


def _download(file: RemoteFile, parse: Callable[[bytes, str], Parsed], target: Path) -> Parsed:
    import pooch
    import requests

    failures = []
    for url in file.urls:
        # In the folder of the target, so that the last step is a rename within one file system.
        with _room_beside(target) as folder:
            try:
                path = folder / target.name
                pooch.HTTPDownloader(timeout=30)(url, str(path), None)
                parsed = parse(_unpacked(path), file.content)
            except (requests.RequestException, OSError, DataError) as error:
                failures.append(f"{url}: {error}")
                continue
            os.replace(path, target)
            return parsed
    raise DataError(
        f"{target.name} could not be downloaded ({'; '.join(failures)}); "
        "try again, or give a data folder that holds the file"
    )
