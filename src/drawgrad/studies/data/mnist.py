"""MNIST: 28x28 grey images of handwritten digits, in the four original IDX files."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import torch

from drawgrad.studies.data.files import DataError, RemoteFile, load_file
from drawgrad.studies.data.images import Images

__all__ = ["TEST_IMAGES", "TRAIN_IMAGES", "VALID_COUNT", "load_mnist", "parse_idx_images"]

MIRRORS = ("https://ossci-datasets.s3.amazonaws.com/mnist/", "https://storage.googleapis.com/cvdf-datasets/mnist/")


def _remote(name: str, content: str) -> RemoteFile:
    return RemoteFile(f"mnist/{name}", tuple(mirror + name for mirror in MIRRORS), content)


TRAIN_IMAGES = _remote("train-images-idx3-ubyte.gz", "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db")
TEST_IMAGES = _remote("t10k-images-idx3-ubyte.gz", "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7")
VALID_COUNT = 10_000
"""Images at the end of the training file that are kept for validation."""


def load_mnist(data_dir: Path | None = None) -> Images:
    """Load MNIST's grey images: 50,000 to train, the last 10,000 of the training file to validate, 10,000 to test.

    Args:
        data_dir: Folder with `mnist/train-images-idx3-ubyte.gz` and `mnist/t10k-images-idx3-ubyte.gz`; without it they
            are downloaded into a cache.

    Returns:
        The images, with 255 grey levels.

    Raises:
        DataError: If a file is missing, damaged, or cannot be downloaded.

    References:
        LeCun, Bottou, Bengio and Haffner, "Gradient-based learning applied to document recognition", Proc. IEEE, 1998.
    """
    train = torch.from_numpy(load_file(TRAIN_IMAGES, parse_idx_images, data_dir))
    test = torch.from_numpy(load_file(TEST_IMAGES, parse_idx_images, data_dir))
    return Images("mnist", 28, 28, 255, train=train[:-VALID_COUNT], valid=train[-VALID_COUNT:], test=test)


def parse_idx_images(content: bytes, expected: str) -> np.ndarray:
    """Read an IDX file of images: magic number, count, height, width (big-endian int32), then one byte a pixel.

    Args:
        content: The uncompressed bytes.
        expected: Their sha256.

    Returns:
        Pixels, uint8, shape `(images, height * width)`.

    Raises:
        DataError: If the bytes are not the expected ones.
    """
    found = hashlib.sha256(content).hexdigest()
    if found != expected:
        raise DataError(f"the sha256 of its content is {found}, but {expected} was expected")
    magic, count, height, width = np.frombuffer(content, ">i4", count=4)
    if magic != 2051:
        raise DataError(f"its magic number is {magic}, but that of a file of images is 2051")
    # A copy, because the bytes are read-only.
    return np.frombuffer(content, np.uint8, offset=16).reshape(count, height * width).copy()
