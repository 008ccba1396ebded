"""How good a model is: the multi-sample bound on log p(x), and whether its code is used."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch.distributions import Distribution
from torch.nn import functional as F

from drawgrad._typing import Float, Tensor
from drawgrad.diagnostics import dead_classes
from drawgrad.functional import draw_seed, multi_sample_bound
from drawgrad.studies.tasks.autoencoder.model import VAE
from drawgrad.studies.tasks.pixels import log_likelihood_of_pixels
from drawgrad.variables import variables_of

__all__ = [
    "Bound",
    "CodeUsage",
    "bound_of",
    "bound_of_model",
    "code_usage",
    "draw_codes",
    "log_likelihood",
    "log_ratio",
    "log_weights",
    "mean_and_error",
    "state_probs",
]

ROWS = {"cpu": 2000}
"""Samples that are decoded together: on a CPU few enough for their pixels to stay in its caches."""
ROWS_ELSEWHERE = 100_000
ACTIVE = 0.01


@dataclass(frozen=True)
class Bound:
    """A lower bound on the mean log-likelihood of images, in nats.

    Args:
        samples: The number m of samples an image.
        nats: The mean over the images of log(1/m sum_s w_s), w_s = p(x|z_s) p(z_s) / q(z_s|x).
        error: Its standard error over the images.
        elbo: The mean over images and samples of log w_s: the bound of a single sample.
        elbo_error: Its standard error over the images.
    """

    samples: int
    nats: float
    error: float
    elbo: float
    elbo_error: float


@dataclass(frozen=True)
class CodeUsage:
    """How much of a code's capacity is used on a set of images.

    Args:
        kl: KL(q(z|x), p(z)) in nats, a mean over the images.
        active: Variables that carry more than 0.01 nats each.
        perplexity: Effective number of classes of a variable, exp of the entropy of the posterior averaged over the
            images; a mean over the variables. None for a Gaussian code.
        dead: Dead classes, over all variables, as :func:`~drawgrad.diagnostics.dead_classes` has it of the averaged
            posterior. None for a Gaussian code.
    """

    kl: float
    active: int
    perplexity: float | None
    dead: int | None


@torch.no_grad()
def code_usage(model: VAE, x: Float[Tensor, "images pixels"]) -> CodeUsage:
    """How the code is used on binary images."""
    q = model.posterior(x)
    kl = model.code.kl(q, model.prior()).mean(0)
    probs = state_probs(q)
    perplexity = dead = None
    if probs is not None:
        average = probs.mean(0)
        perplexity = float(torch.special.entr(average).sum(-1).exp().mean())
        dead = int(dead_classes(average).sum())
    return CodeUsage(float(kl.sum()), int((kl > ACTIVE).sum()), perplexity, dead)


def state_probs(q: Distribution) -> Float[Tensor, "*batch states"] | None:
    """The probabilities of the states of every variable, or None if they cannot be counted."""
    variable: Any = variables_of(q)
    return None if variable.states is None else variable.log_probs().exp()


def draw_codes(q: Distribution, samples: int, generator: torch.Generator) -> Tensor:
    """Exact samples of codes in compact form, shape `(samples, images, variables)`."""
    return variables_of(q).expand(samples).draw(draw_seed(generator=generator))


@torch.no_grad()
def bound_of_model(
    model: VAE,
    x: Float[Tensor, "images pixels"],
    samples: int,
    generator: torch.Generator,
    listener: Callable[[int], None] = lambda images: None,
) -> Bound:
    """Bound the log-likelihood of binary images with exact (hard) samples of the code.

    Args:
        model: The autoencoder.
        x: Binary images, on the device of the model.
        samples: Samples an image.
        generator: Source of the samples, on the same device.
        listener: Told the number of images that are done.

    Returns:
        The bound. It grows with the number of samples, up to the log-likelihood.

    References:
        Burda, Grosse and Salakhutdinov, "Importance weighted autoencoders", ICLR 2016.
    """
    return bound_of(lambda block, count: log_weights(model, block, count, generator), x, samples, listener)


def bound_of(
    log_weights: Callable[[Float[Tensor, "images pixels"], int], Float[Tensor, "samples images"]],
    x: Float[Tensor, "images pixels"],
    samples: int,
    listener: Callable[[int], None] = lambda images: None,
) -> Bound:
    """The bound that weights yield whose mean over the samples is an unbiased estimate of a likelihood.

    Args:
        log_weights: Of some of the images, and of so many samples of each, independent in every call.
        x: Binary images.
        samples: Samples an image.
        listener: Told the number of images that are done.
    """
    rows = ROWS.get(x.device.type, ROWS_ELSEWHERE)
    bounds, singles, done = [], [], 0
    for block in x.split(max(1, rows // samples)):
        counts = [min(rows, samples - begin) for begin in range(0, samples, rows)]
        weights = torch.cat([log_weights(block, count) for count in counts]).double()
        bounds.append(-multi_sample_bound(-weights))
        singles.append(weights.mean(0))
        done += len(block)
        listener(done)
    bound, single = torch.cat(bounds), torch.cat(singles)
    return Bound(samples, *mean_and_error(bound), *mean_and_error(single))


def log_weights(
    model: VAE, x: Float[Tensor, "images pixels"], samples: int, generator: torch.Generator
) -> Float[Tensor, "samples images"]:
    """The log-weights log p(x|z) + log p(z) - log q(z|x) of samples z from q(z|x)."""
    q = model.posterior(x)
    codes = draw_codes(q, samples, generator)
    return log_likelihood(model, codes, x) + log_ratio(codes, q, model.prior())


def log_likelihood(model: VAE, codes: Tensor, x: Float[Tensor, "images pixels"]) -> Float[Tensor, "samples images"]:
    """The log-likelihood log p(x|z) of codes z, shape `(samples, images, variables)`: `-model.cost`, but faster."""
    inner, outer = model.decoder_in, model.decoder_out
    if inner is None:
        logits = model.code.first_layer(codes, outer.weight, outer.bias)
    else:
        logits = F.linear(model.code.first_layer(codes, inner.weight, inner.bias).relu_(), outer.weight, outer.bias)
    return log_likelihood_of_pixels(logits, x)


def log_ratio(codes: Tensor, q: Distribution, p: Distribution) -> Float[Tensor, "samples images"]:
    """`log p(z) - log q(z|x)` of codes z, summed over the variables."""
    of_q: Any = variables_of(q)
    of_p: Any = variables_of(p)
    if of_q.states is None:
        return (of_p.log_prob(codes) - of_q.log_prob(codes)).sum(-1)
    # A ratio for each state of each image, instead of one for each of many samples.
    ratios = of_p.log_probs() - of_q.log_probs()
    numbers = of_q.number(codes)[..., None]
    return ratios.expand(len(codes), *ratios.shape).gather(-1, numbers).flatten(2).sum(-1)


def mean_and_error(values: Float[Tensor, "images"]) -> tuple[float, float]:
    """The mean of numbers and its standard error, NaN for a single one."""
    error = float(values.std()) / math.sqrt(len(values)) if len(values) > 1 else math.nan
    return float(values.mean()), error
