"""Small autoencoders and images that the tests of the studies share."""

from __future__ import annotations

import torch

from drawgrad.estimators import Reinforce
from drawgrad.studies.data.images import Images
from drawgrad.studies.tasks.autoencoder.code import Code
from drawgrad.studies.tasks.autoencoder.model import VAE

__all__ = ["small_images", "small_vae"]


def small_vae(code: Code, pixels: int = 4, hidden: int = 5, learned_prior: bool = True, seed: int = 0) -> VAE:
    """An autoencoder with random weights, biases and prior, in float64."""
    generator = torch.Generator().manual_seed(seed)
    base_rates = torch.linspace(0.1, 0.9, pixels)
    model = VAE(code, (hidden, hidden), base_rates, learned_prior, generator, Reinforce()).double()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(0.5 * torch.randn(parameter.shape, generator=generator, dtype=torch.float64))
    return model


def small_images(count: int = 40, levels: int = 16, seed: int = 0) -> Images:
    """Grey images of 4x4 pixels: six shapes, so that there is something to learn."""
    generator = torch.Generator().manual_seed(seed)
    shapes = torch.randint(2, (6, 16), generator=generator)
    # Nearly black and nearly white, unless there is nothing between.
    shades = torch.tensor([levels // 16, levels - levels // 16], dtype=torch.uint8)
    pixels = shades[shapes[torch.randint(6, (3 * count,), generator=generator)]]
    return Images(
        "small", 4, 4, levels, train=pixels[:count], valid=pixels[count : 2 * count], test=pixels[2 * count :]
    )
