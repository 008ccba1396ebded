"""The bundled digits: one fixed split of all of them."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from drawgrad.studies.data import DataError, load
from drawgrad.studies.data.digits import load_digits


def test_every_image_is_in_exactly_one_part():
    from sklearn.datasets import load_digits as bundled

    images = load("digits")
    assert (images.height, images.width, images.levels) == (8, 8, 16)
    assert [len(part) for part in (images.train, images.valid, images.test)] == [1399, 199, 199]
    together = torch.cat([images.train, images.valid, images.test])
    original = torch.from_numpy(bundled().data.astype("uint8"))
    assert sorted(map(tuple, together.tolist())) == sorted(map(tuple, original.tolist()))


def test_each_part_has_its_share_of_every_class():
    from sklearn.datasets import load_digits as bundled

    turn = np.arange(1797) % 9
    for part in (turn < 7, turn == 7, turn == 8):
        share = np.bincount(bundled().target[part], minlength=10) / part.sum()
        assert share.min() > 0.05


def test_other_images_under_the_same_name_are_refused(monkeypatch):
    import sklearn.datasets

    original = sklearn.datasets.load_digits()
    original.data[0, 0] = 1
    monkeypatch.setattr(sklearn.datasets, "load_digits", lambda: original)
    with pytest.raises(DataError, match=r"sha256 of scikit-learn's images is .* was expected; reinstall"):
        load_digits()


def test_an_unknown_data_set_is_named():
    with pytest.raises(ValueError, match="one of digits, mnist, binarized-mnist, but it is 'cifar'"):
        load("cifar")
