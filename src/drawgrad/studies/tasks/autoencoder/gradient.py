"""The estimator that a training run was asked for by name: which ones fit its code, and how one is made."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection
from contextlib import nullcontext
from typing import Any, cast

import torch
from torch import nn
from torch.distributions import Distribution

from drawgrad._typing import Float, Tensor
from drawgrad.estimators import (
    ESTIMATORS,
    Baseline,
    Estimator,
    Exact,
    MovingAverage,
    NoBaseline,
    Nvil,
    Reinforce,
    Relax,
)
from drawgrad.studies.tasks.autoencoder.code import make_latent
from drawgrad.studies.tasks.autoencoder.config import ConfigError, TrainConfig
from drawgrad.studies.tasks.autoencoder.model import VAE

__all__ = ["at_temperature", "check_estimator", "expected_cost", "fitting", "has_temperature", "make_estimator"]

HIDDEN = 100
"""Units of the networks of NVIL and RELAX."""


def fitting(config: TrainConfig) -> list[str]:
    """The names of the estimators that can train the code of these settings."""
    return [name for name in sorted(ESTIMATORS) if _obstacle(ESTIMATORS[name](), config) is None]


def check_estimator(config: TrainConfig, given: Collection[str]) -> None:
    """Refuse an estimator that does not fit, and settings that have no part in a run with it.

    Args:
        config: The settings.
        given: The names of those that were given explicitly.

    Raises:
        ConfigError: If there is something to refuse.
    """
    if config.estimator is None:
        for name in ("samples", "baseline"):
            if name in given:
                raise ConfigError("has no part in a run without --estimator; name one, or leave it out", name)
        return
    estimator = make_estimator(config)
    idle = {"hard": "decides by itself where samples are hard"}
    if not has_temperature(estimator):
        schedule = ("tau", "tau_min", "tau_rate", "tau_every")
        idle |= dict.fromkeys(schedule, "has no temperature that a schedule could set")
    if not isinstance(estimator, Reinforce):
        idle["baseline"] = "takes no baseline, only Reinforce does"
    if estimator.multi_sample_bound:
        idle["free_bits"] = "samples the KL, so that no variable has its own"
    for name, reason in idle.items():
        if name in given:
            raise ConfigError(f"has no part in this run, because {config.estimator} {reason}; leave it out", name)


def make_estimator(config: TrainConfig, pixels: int = 1) -> Estimator:
    """The estimator of the settings, untrained, at the temperature of the start.

    Args:
        config: The settings.
        pixels: Of an image, which the network of NVIL sees.

    Raises:
        ConfigError: If there is none of this name, or if it does not fit.
    """
    assert config.estimator is not None
    if config.estimator not in ESTIMATORS:
        raise ConfigError(
            f"{config.estimator} is not known; those that fit this run are {', '.join(fitting(config))}", "estimator"
        )
    cls: Any = ESTIMATORS[config.estimator]
    obstacle = _obstacle(cls(), config)
    if obstacle is not None:
        raise ConfigError(
            f"{config.estimator} {obstacle}; those that fit this run are {', '.join(fitting(config))}", "estimator"
        )
    options: dict[str, Any] = {} if config.samples is None else {"samples": config.samples}
    features = make_latent(config.latent, config.variables, config.categories).features
    # Networks start from the run's seed, and leave the global generator as it was.
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(config.seed)
        if cls is Reinforce:
            options["baseline"] = _baseline(config.baseline, pixels)
        if cls is Relax:
            options |= {"features": features, "hidden": HIDDEN, "seed": config.seed}
        try:
            estimator = cls(**options)
        except (TypeError, ValueError) as error:
            raise ConfigError(f"does not fit {config.estimator}: {error}", "samples") from error
    return at_temperature(estimator, config.tau)


def expected_cost(
    estimator: Estimator,
    model: VAE,
    x: Float[Tensor, "batch pixels"],
    q: Distribution,
    p: Distribution,
    kl_weight: float,
    generator: torch.Generator,
) -> Float[Tensor, ""]:
    """E_q[-log p(x|z)] in nats, mean over the images, with the gradient of an estimator.

    For an estimator of a multi-sample bound, which needs the whole integrand, it is this bound, as a loss, with a
    weighted log q(z|x) - log p(z).

    Args:
        estimator: At its temperature.
        model: The autoencoder.
        x: Binary images.
        q: Their posterior.
        p: The prior.
        kl_weight: Of log q - log p, in a multi-sample bound.
        generator: Source of the seed.
    """

    def cost(z: Tensor) -> Tensor:
        costs = model.cost(z, x)
        if estimator.multi_sample_bound:
            costs = costs + kl_weight * (q.log_prob(z) - p.log_prob(z)).sum(-1)
        return costs

    baseline = estimator.baseline if isinstance(estimator, Reinforce) else None
    with baseline.given(x - model.mean) if isinstance(baseline, Nvil) else nullcontext():
        return estimator(cost, q, generator=generator).mean()


def has_temperature(estimator: Estimator) -> bool:
    """Whether the temperature is an option, which a schedule may set, rather than nothing or learned."""
    return _option(estimator) is not None


def at_temperature(estimator: Estimator, tau: float) -> Estimator:
    """The same estimator at another temperature, if it has one that may be set."""
    option = _option(estimator)
    return estimator if option is None else dataclasses.replace(cast(Any, estimator), **{option: tau})


def _option(estimator: Estimator) -> str | None:
    if not dataclasses.is_dataclass(estimator):
        return None
    names = {field.name for field in dataclasses.fields(estimator)}
    return next((name for name in ("tau", "backward_tau") if name in names), None)


def _obstacle(estimator: Estimator, config: TrainConfig) -> str | None:
    """Why an estimator does not fit, or None."""
    latent = make_latent(config.latent, config.variables, config.categories)
    q: Distribution = latent.distribution(torch.zeros(1, latent.parameters))
    try:
        estimator.check_supported(q)
    except TypeError:
        return f"does not take a {config.latent} code"
    if isinstance(estimator, Exact):
        classes = config.categories if config.latent == "categorical" else 2
        if classes**config.variables > estimator.limit:
            return f"would enumerate {classes}^{config.variables} codes, more than {estimator.limit}"
    return None


def _baseline(name: str | None, pixels: int) -> Baseline:
    match name:
        case "none":
            return NoBaseline()
        case "moving-average" | None:
            return MovingAverage()
        case "nvil":
            network = nn.Sequential(nn.Linear(pixels, HIDDEN), nn.Tanh(), nn.Linear(HIDDEN, 1))
            return Nvil(network)
        case _:
            raise AssertionError(name)
