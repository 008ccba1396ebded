"""The classes of images."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pytest
import torch

from drawgrad.studies.data import DataError, load
from drawgrad.studies.data.labels import load_labels, load_mnist_labels, parse_idx_labels


def content(magic: int = 2049, count: int = 3) -> bytes:
    return np.array([magic, count], ">i4").tobytes() + bytes([7, 0, 9])


def test_a_file() -> None:
    found = parse_idx_labels(content(), hashlib.sha256(content()).hexdigest())
    assert found.tolist() == [7, 0, 9]


@pytest.mark.parametrize(
    ("damaged", "message"),
    [(content(2051), "magic number is 2051"), (content(count=4), "has 3 labels, but promises 4")],
)
def test_damaged_files(damaged: bytes, message: str) -> None:
    with pytest.raises(DataError, match=message):
        parse_idx_labels(damaged, hashlib.sha256(damaged).hexdigest())
    with pytest.raises(DataError, match="was expected"):
        parse_idx_labels(damaged, "0")


def test_labels_at_hand(shared_data: Path) -> None:
    train, test = load_mnist_labels(shared_data)
    assert (len(train), len(test)) == (60_000, 10_000)
    assert train[:5].tolist() == [5, 0, 4, 1, 9]
    assert test[:5].tolist() == [7, 2, 1, 0, 4]


def test_labels_are_those_of_the_images(shared_data: Path) -> None:
    """The mean images of the classes tell unseen images apart, in each part."""
    for name, folder in (("digits", None), ("mnist", shared_data)):
        images, labels = load(name, folder), load_labels(name, folder)
        means = torch.stack([images.train[labels.train == digit].float().mean(0) for digit in range(10)])
        for part, classes in ((images.valid, labels.valid), (images.test, labels.test)):
            assert len(part) == len(classes)
            right = (torch.cdist(part.float(), means).argmin(-1) == classes).double().mean()
            assert right > 0.8


def test_a_set_without_labels_is_refused() -> None:
    with pytest.raises(ValueError, match="digits or mnist, but it is 'binarized-mnist'"):
        load_labels("binarized-mnist")
