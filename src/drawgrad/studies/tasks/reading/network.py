"""The network that reads digits, and how an image is moved so that it is another image of the same digit."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn
from torch.nn.functional import affine_grid, grid_sample

from drawgrad._typing import Float, Tensor

__all__ = ["Reader", "moved", "read"]

MEAN, SCALE = 0.13, 0.31
"""Of MNIST's pixels."""
TURN, SHEAR, STRETCH, SHIFT = 0.2, 0.15, 0.1, 2.0
"""How far an image is moved at most: radians, slope, share of its size, pixels of 28."""
VIEWS = ((0, 0), (1, 0), (-1, 0), (0, 1), (0, -1))
"""Shifts in pixels at which an image is read."""
TOGETHER = 1000
"""Images that are read in one call."""


class Reader(nn.Module):
    """A convolutional network: logits of the digits for an image of 28 x 28.

    Args:
        classes: How many digits there are.
        channels: Of the two convolutions.
        hidden: Units of the layers between them and the logits.

    References:
        LeCun, Bottou, Bengio and Haffner, "Gradient-based learning applied to document recognition", Proc. IEEE, 1998.
    """

    def __init__(self, classes: int, channels: tuple[int, int] = (16, 32), hidden: Sequence[int] = (128,)) -> None:
        super().__init__()
        first, second = channels
        layers: list[nn.Module] = [
            nn.Conv2d(1, first, 5), nn.ReLU(), nn.MaxPool2d(2),
            nn.Conv2d(first, second, 5), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(),
        ]  # fmt: skip
        width = second * 4 * 4
        for units in hidden:
            layers += [nn.Linear(width, units), nn.ReLU()]
            width = units
        self.layers = nn.Sequential(*layers, nn.Linear(width, classes))
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def forward(self, images: Float[Tensor, "count 1 28 28"]) -> Float[Tensor, "count classes"]:
        """The logits."""
        return self.layers(((images - MEAN) / SCALE).contiguous(memory_format=torch.channels_last))


def moved(
    images: Float[Tensor, "count 1 height width"], generator: torch.Generator
) -> Float[Tensor, "count 1 height width"]:
    """Each image turned, sheared, stretched and shifted a little at random: what it shows stays, whatever it is."""
    count = len(images)

    def between(bound: float, *shape: int) -> Tensor:
        return (torch.rand(count, *shape, generator=generator, device=images.device) * 2 - 1) * bound

    angle, (wide, high) = between(TURN), 1 + between(STRETCH, 2).T
    # The grid's unit is half an image.
    right, down = between(SHIFT / 14, 2).T
    top = torch.stack([angle.cos() * wide, between(SHEAR) - angle.sin(), right], -1)
    bottom = torch.stack([angle.sin(), angle.cos() * high, down], -1)
    grid = affine_grid(torch.stack([top, bottom], 1), list(images.shape), align_corners=False)
    return grid_sample(images, grid, align_corners=False)


@torch.no_grad()
def read(reader: nn.Module, images: Float[Tensor, "count 1 28 28"]) -> Float[Tensor, "count classes"]:
    """Log-probabilities of the digits: the mean over an image and its shifts by one pixel, normalized."""
    found = []
    for part in images.split(TOGETHER):
        views = [reader(part.roll(shift, (-2, -1))).double().log_softmax(-1) for shift in VIEWS]
        found.append(torch.stack(views).mean(0).log_softmax(-1))
    return torch.cat(found)
