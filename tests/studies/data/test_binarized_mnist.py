"""The text of the binarized images: read, and refused where it is not what was published."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest

from drawgrad.studies.data import DataError, load
from drawgrad.studies.data.binarized_mnist import parse_amat


def _checksum(images: np.ndarray) -> str:
    return hashlib.sha256(np.packbits(images, axis=1).tobytes()).hexdigest()


@pytest.fixture
def images() -> np.ndarray:
    return np.random.default_rng(3).integers(0, 2, (5, 784), dtype=np.uint8)


@pytest.mark.parametrize(("between", "end"), [(" ", "\n"), (" ", " \r\n"), ("\t", "\n")])
def test_the_text_is_read_whatever_white_space_it_has(images, between, end):
    text = "".join(between.join(map(str, row)) + end for row in images).encode()
    assert np.array_equal(parse_amat(text, _checksum(images)), images)
    assert np.array_equal(parse_amat(text.rstrip(), _checksum(images)), images)


def test_one_changed_pixel_is_noticed(images):
    expected = _checksum(images)
    images[4, 783] ^= 1
    text = "\n".join(" ".join(map(str, row)) for row in images).encode()
    with pytest.raises(DataError, match=f"{_checksum(images)}, but {expected} was expected"):
        parse_amat(text, expected)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b"0 1 2 0", "it holds '2', but only 0, 1 and white space"),
        (b"<html>not found</html>", "it holds '<'"),
        (b"0 1 -1 0", "it holds '-'"),
        (b"0 1 1 0", "it holds 4 pixels, but a multiple of 784"),
        (b"", "it holds 0 pixels"),
    ],
)
def test_what_is_no_such_text_is_refused(text, message):
    with pytest.raises(DataError, match=message):
        parse_amat(text, "")


def test_the_real_files(shared_data):
    images = load("binarized-mnist", shared_data)
    assert [len(part) for part in (images.train, images.valid, images.test)] == [50_000, 10_000, 10_000]
    assert images.levels == 1
    assert images.train.unique().tolist() == [0, 1]
