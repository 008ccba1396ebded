"""The arrangement of pictures in the figure."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from matplotlib.figure import Figure

from drawgrad.studies.data.images import fixed_binarization
from drawgrad.studies.runs.loop import Progress
from drawgrad.studies.tasks.autoencoder import figure
from drawgrad.studies.tasks.autoencoder.config import configure
from drawgrad.studies.tasks.autoencoder.training import TrainedVAE, build_model
from tests.studies.tasks.autoencoder.small import small_images
from tests.studies.tasks.autoencoder.test_report import RESULTS


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


def test_one_point_is_a_dot_and_more_are_a_line():
    axes = Figure().subplots()
    figure._plot(axes, [7], [-27.0], "red")
    figure._plot(axes, [7, 14], [-27.0, -26.0], "red")
    one, two = axes.lines
    assert (one.get_marker(), one.get_clip_on()) == ("o", False)
    assert two.get_marker() in ("", "None")


@pytest.mark.parametrize(
    "lines", [[], [{"kind": "train", "step": 5, "elbo": -9.0, "tau": 0.5}], [{"kind": "valid", "step": 5}]]
)
def test_a_record_with_gaps_is_drawn_all_the_same(lines, tmp_path):
    images, config = small_images(), configure(variables=3, categories=4, hidden=8, epochs=1)
    model = build_model(config, images)
    trained = TrainedVAE(config, model, Progress(1, 1), fixed_binarization(images.test, images.levels, 0))
    metrics, target = tmp_path / "metrics.jsonl", tmp_path / "figure.png"
    metrics.write_text("".join(json.dumps(line) + "\n" for line in lines))
    figure.draw_figure(trained, images, metrics, target, RESULTS)
    assert target.read_bytes().startswith(b"\x89PNG")
