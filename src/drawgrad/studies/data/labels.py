"""The digits that images show."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from drawgrad._typing import Int, Tensor
from drawgrad.studies.data.digits import in_parts
from drawgrad.studies.data.files import DataError, RemoteFile, load_file
from drawgrad.studies.data.mnist import MIRRORS, VALID_COUNT

__all__ = ["Labels", "load_labels", "load_mnist_labels", "parse_idx_labels"]


@dataclass(frozen=True)
class Labels:
    """The classes of the images of a set, in their order.

    Args:
        train, valid, test: From 0 on, int64, shape `(images,)`.
    """

    train: Int[Tensor, "train"]
    valid: Int[Tensor, "valid"]
    test: Int[Tensor, "test"]


def _remote(name: str, content: str) -> RemoteFile:
    return RemoteFile(f"mnist/{name}", tuple(mirror + name for mirror in MIRRORS), content)


TRAIN_LABELS = _remote("train-labels-idx1-ubyte.gz", "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5")
TEST_LABELS = _remote("t10k-labels-idx1-ubyte.gz", "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2")


def load_labels(name: str, data_dir: Path | None = None) -> Labels:
    """The labels of the images that :func:`drawgrad.studies.data.load` loads by this name.

    Args:
        name: `digits` or `mnist`; nobody knows those of `binarized-mnist`.
        data_dir: Folder that holds the files; without it they are downloaded once into a cache.

    Raises:
        ValueError: If there is no such data set, or none with labels.
        DataError: If a file is missing, damaged, or cannot be downloaded.

    Example:
        >>> load_labels("digits").train[:5]
        tensor([0, 1, 2, 3, 4])
    """
    match name:
        case "digits":
            from sklearn.datasets import load_digits as bundled_digits

            return Labels(*in_parts(torch.from_numpy(bundled_digits().target).long()))
        case "mnist":
            train, test = load_mnist_labels(data_dir)
            return Labels(train[:-VALID_COUNT], train[-VALID_COUNT:], test)
        case _:
            raise ValueError(f"name must be digits or mnist, but it is {name!r}; images of other sets have no labels")


def load_mnist_labels(data_dir: Path | None = None) -> tuple[Int[Tensor, "train"], Int[Tensor, "test"]]:
    """The labels of MNIST's 60,000 training images, in their order, and of its 10,000 test images.

    Args:
        data_dir: Folder with `mnist/train-labels-idx1-ubyte.gz` and the other; without it they are downloaded.

    Raises:
        DataError: If a file is missing, damaged, or cannot be downloaded.
    """
    train, test = (load_file(file, parse_idx_labels, data_dir) for file in (TRAIN_LABELS, TEST_LABELS))
    return torch.from_numpy(train), torch.from_numpy(test)


def parse_idx_labels(content: bytes, expected: str) -> np.ndarray:
    """Read an IDX file of labels: magic number and count (big-endian int32), then one byte a label.

    Args:
        content: The uncompressed bytes.
        expected: Their sha256.

    Returns:
        Labels, int64.

    Raises:
        DataError: If the bytes are not the expected ones.
    """
    found = hashlib.sha256(content).hexdigest()
    if found != expected:
        raise DataError(f"the sha256 of its content is {found}, but {expected} was expected")
    magic, count = np.frombuffer(content, ">i4", count=2)
    if magic != 2049:
        raise DataError(f"its magic number is {magic}, but that of a file of labels is 2049")
    labels = np.frombuffer(content, np.uint8, offset=8)
    if len(labels) != count:
        raise DataError(f"it has {len(labels)} labels, but promises {count}")
    return labels.astype(np.int64)
