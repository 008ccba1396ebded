"""A variational autoencoder: encoder, code, decoder, with one hidden layer on either side of the code."""

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

__all__ = ["VAE"]

RAREST = 1e-3
"""Base rates are clipped to this distance from 0 and 1, so that a pixel that is always black can still turn white."""


class VAE(nn.Module):
    """Binary images x with a code z: p(x) = sum_z p(z) prod_i Bernoulli(x_i; decoder(z)_i), and a posterior q(z|x).

    The encoder sees images minus their mean, and the decoder's bias starts at the log-odds of the mean: both spare the
    first steps of training, which would learn just that.

    Args:
        code: What an image is turned into.
        hidden: Units of the hidden layers.
        base_rates: Probability that a pixel is white, shape `(pixels,)`.
        learned_prior: Whether p(z) is learned; otherwise it is uniform, or the standard normal distribution.
        generator: Source of the initial weights, on the CPU, whatever device the model moves to afterwards.
        estimator: Of the gradient for the code; a part of the model, because some learn.
    """

    mean: Float[Tensor, "pixels"]

    def __init__(
        self,
        code: Code[Any],
        hidden: int,
        base_rates: Float[Tensor, "pixels"],
        learned_prior: bool,
        generator: torch.Generator,
        estimator: Estimator,
    ) -> None:
        super().__init__()
        pixels = len(base_rates)
        self.code = code
        self.encoder = nn.Sequential(
            _linear(pixels, hidden, generator), nn.ReLU(), _linear(hidden, code.parameters, generator)
        )
        self.decoder_in = _linear(code.features, hidden, generator)
        self.decoder_out = _linear(hidden, pixels, generator)
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
        return self.decoder_out(F.relu(self.decoder_in(self.code.flat(z))))

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


def _linear(inputs: int, outputs: int, generator: torch.Generator) -> nn.Linear:
    """A layer with Glorot-uniform weights and zero biases, drawn from `generator` alone."""
    layer = nn.utils.skip_init(nn.Linear, inputs, outputs)
    bound = math.sqrt(6 / (inputs + outputs))
    with torch.no_grad():
        layer.weight.uniform_(-bound, bound, generator=generator)
        layer.bias.zero_()
    return layer
