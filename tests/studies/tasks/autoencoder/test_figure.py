"""The arrangement of pictures in the figure."""

from __future__ import annotations

import numpy as np
import torch

from drawgrad.studies.tasks.autoencoder import figure
from tests.studies.tasks.autoencoder.small import small_images


def test_tiles_run_along_rows_with_a_gap_between_them():
    pictures = torch.arange(1.0, 7.0).unsqueeze(1).expand(6, 16)
    tiles = figure._tiles(pictures, small_images(), columns=3)
    assert tiles.shape == (4 + 1 + 4, 3 * 5 - 1)
    assert (tiles[:4, :4] == 1).all()
    assert (tiles[:4, 5:9] == 2).all()
    assert (tiles[5:, 10:] == 6).all()
    assert (tiles[4] == 0).all()
    assert (tiles[:, 4] == 0).all()


def test_codes_are_shown_as_rectangles():
    assert np.array_equal(figure._grid(torch.eye(3)), np.eye(3))
    assert figure._grid(torch.arange(200.0)).shape == (20, 10)
    assert figure._grid(torch.arange(7.0)).shape == (7, 1)
