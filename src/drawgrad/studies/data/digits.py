"""The handwritten digits that scikit-learn ships: 1797 real 8x8 images with pixels from 0 to 16. Needs no network."""

from __future__ import annotations

import hashlib
from pathlib import Path

import torch

from drawgrad._typing import Tensor
from drawgrad.studies.data.files import DataError
from drawgrad.studies.data.images import Images

__all__ = ["in_parts", "load_digits"]

CONTENT = "8f26b2bd9d135c256808f68f14fdabddde6d9c7f869ae419704b051f0f14b3b3"


def load_digits(data_dir: Path | None = None) -> Images:
    """Load the 8x8 digits.

    The split is fixed and needs no random numbers: of every nine images in scikit-learn's order, the eighth goes to
    valid and the ninth to test (1399, 199 and 199 images). All parts share their writers.

    Args:
        data_dir: Not used: the images are part of scikit-learn.

    Returns:
        The images, with 16 grey levels.

    Raises:
        DataError: If scikit-learn's copy is not the one that this split was made for.

    References:
        Alpaydin and Kaynak, "Optical Recognition of Handwritten Digits", UCI Machine Learning Repository, 1998.
    """
    from sklearn.datasets import load_digits as bundled_digits

    pixels = bundled_digits().data.astype("uint8")
    found = hashlib.sha256(pixels.tobytes()).hexdigest()
    if found != CONTENT:
        raise DataError(
            f"digits: sha256 of scikit-learn's images is {found}, but {CONTENT} was expected; reinstall scikit-learn"
        )
    train, valid, test = in_parts(torch.from_numpy(pixels))
    return Images("digits", 8, 8, 16, train=train, valid=valid, test=test)


def in_parts(rows: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """What belongs to the images to train, to validate and to test, a row an image in scikit-learn's order."""
    turn = torch.arange(len(rows)) % 9
    return rows[turn < 7], rows[turn == 7], rows[turn == 8]
