"""Layers of discrete variables between an input and an output, each a linear function of what is below it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import nn
from torch.distributions import Distribution
from torch.nn import functional as F

from drawgrad._typing import Float, Int, Tensor
from drawgrad.estimators import Estimator
from drawgrad.functional import draw_seed, multi_sample_bound
from drawgrad.studies.tasks.autoencoder.code import Code
from drawgrad.studies.tasks.autoencoder.model import RAREST, glorot_linear
from drawgrad.studies.tasks.pixels import log_likelihood_of_pixels
from drawgrad.variables import variables_of

__all__ = ["StochasticNetwork"]


class StochasticNetwork(nn.Module):
    """p(y|x) = sum_z p(z_1|x) p(z_2|z_1) ... prod_i Bernoulli(y_i; (W z_L + b)_i), for binary x and y.

    The first layer sees inputs minus their mean, and the bias of the last one starts at the log-odds of the mean.

    Args:
        code: The variables of a layer.
        inputs: The mean of each input, shape `(inputs,)`.
        outputs: The mean of each output, shape `(outputs,)`.
        estimators: Of the gradient, one for each layer of variables; some learn, and are a part of the model then.
        generator: Source of the initial weights, on the CPU.
        multi_sample_bound: Whether samples with a gradient are trained on what they bound together, in place of the
            mean of their costs.
    """

    mean: Float[Tensor, "inputs"]

    def __init__(
        self,
        code: Code[Any],
        inputs: Float[Tensor, "inputs"],
        outputs: Float[Tensor, "outputs"],
        estimators: Sequence[Estimator],
        generator: torch.Generator,
        multi_sample_bound: bool = False,
    ) -> None:
        super().__init__()
        self.code = code
        self.multi_sample_bound = multi_sample_bound
        self.estimators = tuple(estimators)
        self.learning = nn.ModuleList(each for each in estimators if isinstance(each, nn.Module))
        widths = [len(inputs), *[code.features] * (len(self.estimators) - 1)]
        self.layers = nn.ModuleList(glorot_linear(width, code.parameters, generator) for width in widths)
        self.output = glorot_linear(code.features, len(outputs), generator)
        with torch.no_grad():
            self.output.bias.copy_(outputs.clamp(RAREST, 1 - RAREST).logit())
        self.register_buffer("mean", inputs.clone())

    def expected_cost(
        self,
        x: Float[Tensor, "batch inputs"],
        y: Float[Tensor, "batch outputs"],
        seeds: Iterator[Int[Tensor, ""]],
        at: Callable[[Estimator], Estimator] = lambda estimator: estimator,
    ) -> Float[Tensor, "batch"]:
        """E[-log p(y|z)] in nats for each pair, an expectation within an expectation for each layer.

        A multi-sample bound is not a mean of costs: for that all layers are drawn at once, and it is this bound, as a
        loss.

        Args:
            x: Inputs.
            y: Outputs.
            seeds: As many as are needed.
            at: Brings an estimator to the temperature of the step.
        """
        first = at(self.estimators[0])
        if first.multi_sample_bound:
            chain = _Chain(self, x)
            return first(lambda z: self._nll(chain.last(z), y), chain, seed=next(seeds))
        if self.multi_sample_bound:
            return multi_sample_bound(self._nll(self._rsample(x - self.mean, seeds, at), y))

        def expectation(depth: int, features: Tensor) -> Tensor:
            def cost(z: Tensor) -> Tensor:
                above = self.code.flat(z)
                return expectation(depth + 1, above) if depth + 1 < len(self.layers) else self._nll(above, y)

            q = self.code.distribution(self.layers[depth](features))
            return at(self.estimators[depth])(cost, q, seed=next(seeds))

        return expectation(0, x - self.mean)

    def _rsample(
        self,
        features: Float[Tensor, "batch features"],
        seeds: Iterator[Int[Tensor, ""]],
        at: Callable[[Estimator], Estimator],
    ) -> Float[Tensor, "samples batch above"]:
        """Samples of the last layer that carry their gradient: several of the first layer, one above each of them."""
        for depth, (layer, estimator) in enumerate(zip(self.layers, self.estimators, strict=True)):
            each: Any = at(estimator)
            drawn = self.code.distribution(layer(features))
            z = (replace(each, samples=1) if depth else each).rsample(drawn, seed=next(seeds))
            features = self.code.flat(z.squeeze(0) if depth else z)
        return features

    def _nll(self, features: Tensor, y: Float[Tensor, "batch outputs"]) -> Float[Tensor, "*samples batch"]:
        logits = self.output(features)
        return F.binary_cross_entropy_with_logits(logits, y.expand_as(logits), reduction="none").sum(-1)

    @torch.no_grad()
    def log_likelihoods(
        self,
        x: Float[Tensor, "batch inputs"],
        y: Float[Tensor, "batch outputs"],
        samples: int,
        generator: torch.Generator,
    ) -> Float[Tensor, "samples batch"]:
        """log p(y|z) for exact samples z given x."""
        q = self.code.distribution(self.layers[0](x - self.mean))
        index = _draw(q, samples, generator)
        for layer in self.layers[1:]:
            assert isinstance(layer, nn.Linear)
            index = _draw(
                self.code.distribution(self.code.first_layer(index, layer.weight, layer.bias)), None, generator
            )
        logits = self.code.first_layer(index, self.output.weight, self.output.bias)
        return log_likelihood_of_pixels(logits, y)


def _draw(q: Distribution, samples: int | None, generator: torch.Generator) -> Tensor:
    variable = variables_of(q)
    return (variable if samples is None else variable.expand(samples)).draw(draw_seed(generator=generator))


class _Chain(Distribution):
    """All layers of variables given x, as one distribution: a sample holds those of each layer, one after the other."""

    arg_constraints = {}  # noqa: RUF012  what torch's class declares

    def __init__(self, network: StochasticNetwork, x: Float[Tensor, "batch inputs"]) -> None:
        self.network = network
        self.features = x - network.mean
        width = network.code.features * len(network.layers)
        super().__init__(x.shape[:1], torch.Size([width]), validate_args=False)

    def last(self, z: Tensor) -> Tensor:
        """The features of the last layer."""
        return z[..., -self.network.code.features :]

    @torch.no_grad()
    def sample(self, shape: Sequence[int] = ()) -> Tensor:
        features, found = self.features.expand(*shape, *self.features.shape), []
        for layer in self.network.layers:
            variable = variables_of(self.network.code.distribution(layer(features)))
            features = self.network.code.flat(variable.sample_of(variable.draw(draw_seed(device=features.device))))
            found.append(features)
        return torch.cat(found, -1)

    def log_prob(self, z: Tensor) -> Tensor:
        total, below = torch.zeros((), device=z.device), self.features
        for layer, above in zip(self.network.layers, z.chunk(len(self.network.layers), -1), strict=True):
            q = self.network.code.distribution(layer(below))
            total = total + q.log_prob(above.unflatten(-1, (q.batch_shape[-1:] + q.event_shape))).sum(-1)
            below = above
        return total
