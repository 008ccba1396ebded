"""The fixed binarization of MNIST on which papers about discrete latent variables report."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import torch

from drawgrad.studies.data.files import DataError, RemoteFile, load_file
from drawgrad.studies.data.images import Images

__all__ = ["PARTS", "load_binarized_mnist", "parse_amat"]

SOURCE = "http://www.cs.toronto.edu/~larocheh/public/datasets/binarized_mnist/"
PIXELS = 784


def _remote(part: str, content: str) -> RemoteFile:
    name = f"binarized_mnist_{part}.amat"
    return RemoteFile(f"binarized_mnist/{name}", (SOURCE + name,), content)


PARTS = {
    "train": _remote("train", "727146c35424b019f3e350e1e69faa05644a0abaf787e3f4e1a9632220a13906"),
    "valid": _remote("valid", "a256ac44ae26be720fad8616a05ed6ecfd1619930d9a208379bb2a4405df5b6d"),
    "test": _remote("test", "9fcd8da6f0fdf09b2ba30fe63a0bb784042a0de82563172530229b983e294ff2"),
}


def load_binarized_mnist(data_dir: Path | None = None) -> Images:
    """Load the binarized images: 50,000 to train, 10,000 to validate, 10,000 to test.

    The test images are sorted by class: a prefix of them is no fair sample.

    Args:
        data_dir: Folder with `binarized_mnist/binarized_mnist_{train,valid,test}.amat`, gzipped or not; without it they
            are downloaded into a cache.

    Returns:
        The images, with pixels 0 and 1.

    Raises:
        DataError: If a file is missing, damaged, or cannot be downloaded.

    References:
        Salakhutdinov and Murray, "On the quantitative analysis of deep belief networks", ICML 2008.
        Larochelle and Murray, "The neural autoregressive distribution estimator", AISTATS 2011.
    """
    parts = {part: torch.from_numpy(load_file(file, parse_amat, data_dir)) for part, file in PARTS.items()}
    return Images("binarized-mnist", 28, 28, 1, **parts)


def parse_amat(content: bytes, expected: str) -> np.ndarray:
    """Read a text of zeros and ones, 784 a row, separated by white space.

    Args:
        content: The text.
        expected: The sha256 of the rows packed to bits (`numpy.packbits(rows, axis=1)`).

    Returns:
        Pixels, uint8, shape `(images, 784)`.

    Raises:
        DataError: If the text holds anything else, or the images are not the expected ones.
    """
    text = np.frombuffer(content, np.uint8)
    # White space and control characters come before all others. Smaller than "0" wraps around to a large number.
    pixels = text[text > ord(" ")] - np.uint8(ord("0"))
    if pixels.max(initial=0) > 1:
        strange = chr((int(pixels[pixels > 1][0]) + ord("0")) % 256)
        raise DataError(f"it holds {strange!r}, but only 0, 1 and white space were expected")
    if len(pixels) == 0 or len(pixels) % PIXELS:
        raise DataError(f"it holds {len(pixels)} pixels, but a multiple of {PIXELS} was expected")
    images = pixels.reshape(-1, PIXELS)
    found = hashlib.sha256(np.packbits(images, axis=1).tobytes()).hexdigest()
    if found != expected:
        raise DataError(f"the sha256 of its {len(images)} packed images is {found}, but {expected} was expected")
    return images
