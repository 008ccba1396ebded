"""A variational autoencoder: encoder, code, decoder, with a hidden layer on either side of the code, or none."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import nn
from torch.distributions import Distribution
from torch.nn import functional as F

from drawgrad._typing import Float, Tensor
from drawgrad.estimators import Estimator
from drawgrad.studies.tasks.autoencoder.code import Code

__all__ = ["RAREST", "VAE", "glorot_linear"]

RAREST = 1e-3
"""Base rates are clipped to this distance from 0 and 1, so that a pixel that is always black can still turn white."""


class VAE(nn.Module):
    """Binary images x with a code z: p(x) = sum_z p(z) prod_i Bernoulli(x_i; decoder(z)_i), and a posterior q(z|x).

    The encoder sees images minus their mean, and the decoder's bias starts at the log-odds of the mean: both spare the
    first steps of training, which would learn just that.

    Args:
        code: What an image is turned into.
        hidden: Units of the hidden layer of the encoder, and of that of the decoder; 0 where there is none.
        base_rates: Probability that a pixel is white, shape `(pixels,)`.
        learned_prior: Whether p(z) is learned; otherwise it is uniform, or the standard normal distribution.
        generator: Source of the initial weights, on the CPU, whatever device the model moves to afterwards.
        estimator: Of the gradient for the code; a part of the model, because some learn.
    """

    mean: Float[Tensor, "pixels"]

    def __init__(
        self,
        code: Code[Any],
        hidden: tuple[int, int],
        base_rates: Float[Tensor, "pixels"],
        learned_prior: bool,
        generator: torch.Generator,
        estimator: Estimator,
    ) -> None:
        super().__init__()
        pixels = len(base_rates)
        self.code = code
        outer, inner = hidden
        encoder: list[nn.Module] = [glorot_linear(pixels, outer, generator), nn.ReLU()] if outer else []
        self.encoder = nn.Sequential(*encoder, glorot_linear(outer or pixels, code.parameters, generator))
        self.decoder_in = glorot_linear(code.features, inner, generator) if inner else None
        self.decoder_out = glorot_linear(inner or code.features, pixels, generator)
        with torch.no_grad():
            self.decoder_out.bias.copy_(base_rates.clamp(RAREST, 1 - RAREST).logit())
        self.prior_parameters = nn.Parameter(torch.zeros(code.parameters), requires_grad=learned_prior)
        self.register_buffer("mean", base_rates.clone())
        self.estimator = estimator

    def posterior(self, x: Float[Tensor, "*batch pixels"]) -> Distribution:
        """q(z|x), batch shape `(*batch, variables)`."""
        return self.code.distribution(self.encoder(x - self.mean))

    def prior(self) -> Distribution:
        """p(z), batch shape `(variables,)`."""
        return self.code.distribution(self.prior_parameters)

    def decode(self, z: Tensor) -> Float[Tensor, "*batch pixels"]:
        """The log-odds that the pixels are white, for a sample of shape `(*batch, variables, *event)`."""
        features = self.code.flat(z)
        return self.decoder_out(features if self.decoder_in is None else F.relu(self.decoder_in(features)))

    def cost(self, z: Tensor, x: Float[Tensor, "batch pixels"]) -> Float[Tensor, "*samples batch"]:
        """-log p(x|z) in nats.

        Args:
            z: Sample, shape `(*samples, batch, variables, *event)`.
            x: Binary images.

        Returns:
            One number for each sample of each image.
        """
        logits = self.decode(z)
        return F.binary_cross_entropy_with_logits(logits, x.expand_as(logits), reduction="none").sum(-1)


def glorot_linear(inputs: int, outputs: int, generator: torch.Generator) -> nn.Linear:
    """A layer with Glorot-uniform weights and zero biases, drawn from `generator` alone."""
    layer = nn.utils.skip_init(nn.Linear, inputs, outputs)
    bound = math.sqrt(6 / (inputs + outputs))
    with torch.no_grad():
        layer.weight.uniform_(-bound, bound, generator=generator)
        layer.bias.zero_()
    return layer
