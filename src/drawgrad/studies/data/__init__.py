"""Real images, checked by content: `load("digits")`, `load("mnist", folder)`, `load("binarized-mnist", folder)`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from drawgrad.studies.data.binarized_mnist import load_binarized_mnist
from drawgrad.studies.data.digits import load_digits
from drawgrad.studies.data.files import DataError, RemoteFile
from drawgrad.studies.data.images import Images
from drawgrad.studies.data.mnist import load_mnist

__all__ = ["LOADERS", "DataError", "Images", "RemoteFile", "load"]

LOADERS: dict[str, Callable[[Path | None], Images]] = {
    "digits": load_digits,
    "mnist": load_mnist,
    "binarized-mnist": load_binarized_mnist,
}


def load(name: str, data_dir: Path | None = None) -> Images:
    """Load a data set by its name.

    Args:
        name: `digits`, `mnist` or `binarized-mnist`.
        data_dir: Folder that holds the files; without it they are downloaded once into a cache.

    Returns:
        The images, in train, valid and test parts.

    Raises:
        ValueError: If there is no such data set.
        DataError: If a file is missing, damaged, or cannot be downloaded.

    Example:
        >>> images = load("digits")
        >>> images.train.shape, images.levels
        (torch.Size([1399, 64]), 16)
    """
    if name not in LOADERS:
        raise ValueError(f"name must be one of {', '.join(LOADERS)}, but it is {name!r}; choose one of them")
    return LOADERS[name](data_dir)
