"""MNIST's labels."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pytest

from drawgrad.studies.data import DataError
from drawgrad.studies.data.labels import load_mnist_labels, parse_idx_labels


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
