"""The network, and images that are moved."""

from __future__ import annotations

import torch
from torch import nn

from drawgrad.studies.tasks.reading.network import VIEWS, Reader, moved, read


def test_a_reader_of_any_width() -> None:
    reader = Reader(10, channels=(6, 16), hidden=(120, 84))
    assert reader(torch.rand(3, 1, 28, 28)).shape == (3, 10)
    assert sum(parameter.numel() for parameter in reader.parameters()) == 44_426  # LeNet-5 with ReLU and pooling.


def test_moving_keeps_what_is_in_the_middle() -> None:
    images = torch.zeros(64, 1, 28, 28)
    images[:, :, 10:18, 10:18] = 1.0
    found = moved(images, torch.Generator().manual_seed(0))
    assert found.shape == images.shape
    assert (found[:, 0, 13:15, 13:15] > 0.99).all()
    assert (found.sum((1, 2, 3)) / 64 - 1).abs().max() < 0.35
    assert (found - found[:1]).abs().amax((1, 2, 3))[1:].min() > 0.1  # Each one by itself.


def test_moves_are_as_large_as_is_said() -> None:
    images = torch.zeros(400, 1, 28, 28)
    images[:, :, 13:15, 13:15] = 1.0
    found = moved(images, torch.Generator().manual_seed(0))
    places = torch.arange(28.0) - 13.5
    shift = (found.sum(2)[:, 0] * places).sum(-1) / found.sum((1, 2, 3))
    assert 1.8 < shift.abs().max() < 2.6  # Stretching moves what is off the middle once more.


class Leftmost(nn.Module):
    """Logits from the brightness of the left and the right half."""

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return torch.stack([images[..., :14].sum((1, 2, 3)), images[..., 14:].sum((1, 2, 3))], -1)


def test_reading_is_the_normalized_mean_over_shifts() -> None:
    images = torch.rand(5, 1, 28, 28)
    found = read(Leftmost(), images)
    logits = torch.stack([Leftmost()(images.roll(shift, (-2, -1))).double().log_softmax(-1) for shift in VIEWS])
    assert torch.equal(found, logits.mean(0).log_softmax(-1))
    assert torch.allclose(found.exp().sum(-1), torch.ones(5, dtype=torch.float64))
