"""The IDX files: read, and refused where they are not what was published."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest

from drawgrad.studies.data import DataError, load
from drawgrad.studies.data.mnist import parse_idx_images


def _idx(images: np.ndarray, magic: int = 2051) -> bytes:
    return np.array([magic, *images.shape], ">i4").tobytes() + images.tobytes()


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def test_pixels_come_back_row_by_row():
    images = np.arange(24, dtype=np.uint8).reshape(2, 3, 4)
    parsed = parse_idx_images(_idx(images), _sha256(_idx(images)))
    assert np.array_equal(parsed, images.reshape(2, 12))
    assert parsed.flags.writeable


def test_one_changed_byte_is_noticed_and_both_checksums_are_named():
    content = _idx(np.zeros((2, 3, 4), np.uint8))
    damaged = content[:-1] + b"\x01"
    with pytest.raises(DataError) as error:
        parse_idx_images(damaged, _sha256(content))
    assert _sha256(content) in str(error.value)
    assert _sha256(damaged) in str(error.value)


def test_a_file_of_labels_is_no_file_of_images():
    content = _idx(np.zeros((2, 3, 4), np.uint8), magic=2049)
    with pytest.raises(DataError, match=r"magic number is 2049.*2051"):
        parse_idx_images(content, _sha256(content))


def test_the_real_files(shared_data):
    images = load("mnist", shared_data)
    assert [len(part) for part in (images.train, images.valid, images.test)] == [50_000, 10_000, 10_000]
    assert (images.height, images.width, images.levels) == (28, 28, 255)
    # Mean grey values of the two original files, known from elsewhere: 0.1307 and 0.1325.
    training = (images.train.double().sum() + images.valid.double().sum()) / (60_000 * 784 * 255)
    assert float(training) == pytest.approx(0.1307, abs=5e-5)
    assert float(images.test.double().mean() / 255) == pytest.approx(0.1325, abs=5e-5)
