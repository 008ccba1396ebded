"""A set of images in three parts, and how grey values become the zeros and ones that a Bernoulli likelihood needs."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from drawgrad._typing import Float, Tensor, UInt8

__all__ = ["Images", "binarize", "fixed_binarization"]


@dataclass(frozen=True)
class Images:
    """Images of one size. A pixel is an integer x from 0 to `levels`; it is white with probability x / levels.

    Args:
        name: What the data set is called.
        height, width: The size of an image in pixels.
        levels: The largest pixel value: 1 for binary images, 255 for grey ones.
        train, valid, test: Pixels, uint8, shape `(images, height * width)`.
    """

    name: str
    height: int
    width: int
    levels: int
    train: UInt8[Tensor, "train pixels"]
    valid: UInt8[Tensor, "valid pixels"]
    test: UInt8[Tensor, "test pixels"]

    @property
    def pixels(self) -> int:
        """The number of pixels of an image."""
        return self.height * self.width

    def base_rates(self) -> Float[Tensor, "pixels"]:
        """The probability that a pixel is white, averaged over the training images."""
        return (self.train.sum(0, dtype=torch.float64) / (len(self.train) * self.levels)).float()


def binarize(
    pixels: UInt8[Tensor, "*batch pixels"], levels: int, generator: torch.Generator | None = None
) -> Float[Tensor, "*batch pixels"]:
    """Draw binary images: each pixel x is 1 with probability x / levels, and binary images stay as they are.

    Args:
        pixels: Grey values from 0 to `levels`, uint8, any shape.
        levels: The value of white.
        generator: Source of randomness, on the device of `pixels`; not used where `levels` is 1.

    Returns:
        Zeros and ones in float32, shaped like `pixels`.

    Example:
        >>> binarize(torch.tensor([0, 16, 0, 16], dtype=torch.uint8), levels=16)
        tensor([0., 1., 0., 1.])
    """
    if levels == 1:
        return pixels.float()
    # A uniform integer r in 0..levels-1 is below x with probability x / levels exactly.
    threshold = torch.empty_like(pixels).random_(0, levels, generator=generator)
    return (threshold < pixels).float()


def fixed_binarization(
    pixels: UInt8[Tensor, "images pixels"], levels: int, seed: int
) -> Float[Tensor, "images pixels"]:
    """Draw binary images once and for all: the same for every run and device."""
    return binarize(pixels, levels, torch.Generator().manual_seed(seed))
