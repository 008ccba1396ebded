"""The estimator of a training run: which one the settings ask for, what fits, and the expectation it is of."""

from __future__ import annotations

import ast
from contextlib import nullcontext
from typing import Any

import torch
from torch import nn
from torch.distributions import Distribution

from drawgrad._typing import Float, Int, Tensor
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
    ReparameterizedEstimator,
)
from drawgrad.functional import multi_sample_bound
from drawgrad.studies.runs.settings import SettingError, unknown_word
from drawgrad.studies.tasks.autoencoder.code import code_of
from drawgrad.studies.tasks.autoencoder.config import AutoencoderConfig, BoundedSettings, LatentSettings
from drawgrad.studies.tasks.autoencoder.model import VAE
from drawgrad.variables import variables_of

__all__ = [
    "check_bound",
    "estimator_name",
    "expected_cost",
    "fitting",
    "idle_settings",
    "is_multi_sample",
    "make_estimator",
    "read_estimator",
    "sampled_bound",
    "samples_kl",
]

HIDDEN = 100
"""Units of the networks of NVIL and RELAX."""
TEMPERATURES = ("tau", "tau_min", "tau_rate", "tau_every")


def estimator_name(config: LatentSettings) -> str:
    """The name of the estimator that the settings ask for, or imply where they name none."""
    if config.gradient.estimator is not None:
        return config.gradient.estimator
    if config.model.latent == "gaussian":
        return "Pathwise"
    return "STGumbelSoftmax" if config.gradient.hard else "GumbelSoftmax"


def fitting(config: LatentSettings) -> list[str]:
    """The names of the estimators that can train the code of these settings."""
    return [name for name in sorted(ESTIMATORS) if _obstacle(ESTIMATORS[name](), config) is None]


def idle_settings(config: AutoencoderConfig) -> dict[str, str]:
    """Why a setting has no part in the run, for each that has none.

    Raises:
        SettingError: If the estimator does not fit, see :func:`make_estimator` and :func:`check_bound`.
    """
    model, gradient = config.model, config.gradient
    estimator = make_estimator(config)
    check_bound(config, estimator)
    idle = {}
    if config.optimization.optimizer != "sgd":
        idle["momentum"] = f"a run with --optimizer {config.optimization.optimizer}, only with sgd"
    if model.latent != "categorical":
        idle["categories"] = f"a run with --latent {model.latent}, only with categorical"
    if not isinstance(estimator, Reinforce):
        idle["kl"] = f"this run, because {type(estimator).__name__} needs no such choice, only Reinforce does"
    if gradient.estimator is None:
        idle |= dict.fromkeys(("samples", "baseline"), "a run without --estimator, only with one")
        if model.latent == "gaussian":
            idle |= dict.fromkeys(
                ("hard", *TEMPERATURES), "a run with --latent gaussian, only with categorical or bernoulli"
            )
        return idle
    because = f"this run, because {gradient.estimator}"
    idle["hard"] = f"{because} decides by itself where samples are hard"
    if estimator.temperature is None:
        idle |= dict.fromkeys(TEMPERATURES, f"{because} has no temperature that a schedule could set")
    if not isinstance(estimator, Reinforce):
        idle["baseline"] = f"{because} takes no baseline, only Reinforce does"
    if estimator.multi_sample_bound:
        idle["multi_sample_bound"] = f"{because} is of such a bound in any case"
    if samples_kl(config, estimator):
        idle["free_bits"] = "this run, whose KL is sampled, so that no variable has its own"
    return idle


def samples_kl(config: AutoencoderConfig, estimator: Estimator) -> bool:
    """Whether the KL is a part of the cost, rather than in closed form beside it.

    A multi-sample bound needs the whole integrand; so does a baseline that divides the learning signal by its spread:
    if the KL were not divided too, it would outweigh the likelihood, and the code would say nothing.
    """
    if config.objective.kl is not None:
        return config.objective.kl == "sampled"
    divides = isinstance(estimator, Reinforce) and isinstance(estimator.baseline, Nvil) and estimator.baseline.normalize
    return is_multi_sample(config, estimator) or divides


def is_multi_sample(config: BoundedSettings, estimator: Estimator) -> bool:
    """Whether a multi-sample bound is minimized: that which the estimator is of, or that of its samples."""
    return config.objective.multi_sample_bound or estimator.multi_sample_bound


def check_bound(config: BoundedSettings, estimator: Estimator) -> None:
    """Refuse an estimator whose samples cannot be trained on what they bound together, where that is asked for.

    Raises:
        SettingError: If it is one of those.
    """
    if not config.objective.multi_sample_bound or estimator.multi_sample_bound:
        return
    name = type(estimator).__name__
    if not isinstance(estimator, ReparameterizedEstimator):
        others = ", ".join(each for each in fitting(config) if issubclass(ESTIMATORS[each], ReparameterizedEstimator))
        raise SettingError(
            f"needs an estimator whose samples carry a gradient, but those of {name} carry none; such ones that fit "
            f"this run are {others}, and Vimco is of such a bound without it",
            "multi_sample_bound",
        )
    if estimator.samples < 2:
        raise SettingError(
            f"needs several samples an image, but {name} draws 1; give --estimator and --samples, such as 5",
            "multi_sample_bound",
        )


def make_estimator(config: LatentSettings, inputs: int = 1) -> Estimator:
    """The estimator of the settings, untrained, at the temperature of the start.

    Args:
        config: The settings.
        inputs: How many numbers the network of NVIL sees.

    Raises:
        SettingError: If there is none of this name, or if it does not fit.
    """
    (name, given), seed = read_estimator(estimator_name(config)), config.optimization.seed
    if name not in ESTIMATORS:
        cure = unknown_word(name, ESTIMATORS)
        if not cure.endswith("?"):
            cure = f"those that fit this run are {', '.join(fitting(config))}"
        raise SettingError(f"{name} is not known; {cure}", "estimator")
    cls: Any = ESTIMATORS[name]
    obstacle = _obstacle(cls(), config)
    if obstacle is not None:
        raise SettingError(f"{name} {obstacle}; those that fit this run are {', '.join(fitting(config))}", "estimator")
    options: dict[str, Any] = given if config.gradient.samples is None else given | {"samples": config.gradient.samples}
    # Networks start from the run's seed, and leave the global generator as it was.
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        if cls is Reinforce:
            options["baseline"] = _baseline(config.gradient.baseline, inputs)
        if cls is Relax:
            options |= {"features": code_of(config.model).features, "hidden": HIDDEN, "seed": seed}
        try:
            estimator = cls(**options)
        except (TypeError, ValueError) as error:
            named = "estimator" if given else "samples"
            raise SettingError(f"does not fit {name}: {error}", named) from error
    return estimator if estimator.temperature is None else estimator.at(config.gradient.tau)


def read_estimator(text: str) -> tuple[str, dict[str, Any]]:
    """The name of an estimator, and the options that it may have in brackets, as in Python.

    Raises:
        SettingError: If it is written in another way.

    Example:
        >>> read_estimator("GumbelRao(conditional_samples=100)")
        ('GumbelRao', {'conditional_samples': 100})
    """
    if "(" not in text:
        return text, {}
    try:
        call = ast.parse(text.strip(), mode="eval").body
        if not (isinstance(call, ast.Call) and isinstance(call.func, ast.Name) and not call.args):
            raise ValueError
        return call.func.id, {str(each.arg): ast.literal_eval(each.value) for each in call.keywords}
    except (SyntaxError, ValueError) as error:
        raise SettingError(
            f"must be a name, or a name with options such as GumbelRao(conditional_samples=100), but it is {text!r}; "
            "correct it",
            "estimator",
        ) from error


def expected_cost(
    estimator: Estimator,
    model: VAE,
    x: Float[Tensor, "batch pixels"],
    q: Distribution,
    p: Distribution,
    kl_weight: float | None,
    seed: Int[Tensor, ""],
) -> tuple[Float[Tensor, ""], Tensor]:
    """E_q[-log p(x|z)] in nats, mean over the images, with the gradient of an estimator.

    With a weight of the KL the cost holds a weighted log q(z|x) - log p(z) too, and for an estimator of a multi-sample
    bound the result is this bound, as a loss.

    Args:
        estimator: At its temperature.
        model: The autoencoder.
        x: Binary images.
        q: Their posterior.
        p: The prior.
        kl_weight: Of log q - log p, where the KL is sampled; None where it is not.
        seed: Of the samples.

    Returns:
        The expectation, and the last samples that the decoder was shown, detached.
    """
    shown: list[Tensor] = []

    def cost(z: Tensor) -> Tensor:
        shown[:] = [z.detach()]
        costs = model.cost(z, x)
        if kl_weight is not None:
            log_q = q.log_prob(z)
            # The mean of its own gradient is zero, but for the weights of a multi-sample bound.
            log_q = log_q if estimator.multi_sample_bound else log_q.detach()
            costs = costs + kl_weight * (log_q - p.log_prob(z)).sum(-1)
        return costs

    baseline = estimator.baseline if isinstance(estimator, Reinforce) else None
    with baseline.given(x - model.mean) if isinstance(baseline, Nvil) else nullcontext():
        return estimator(cost, q, seed=seed).mean(), shown[0]


def sampled_bound(
    estimator: ReparameterizedEstimator,
    model: VAE,
    x: Float[Tensor, "batch pixels"],
    q: Distribution,
    p: Distribution,
    kl_weight: float,
    seed: Int[Tensor, ""],
) -> tuple[Float[Tensor, ""], Tensor]:
    """-log mean exp(log p(x|z) + log p(z) - log q(z|x)) in nats, mean over the images, of samples with their gradient.

    Relaxed samples are weighed by what the probabilities of hard ones come to between them.

    Args:
        estimator: At its temperature.
        model: The autoencoder.
        x: Binary images.
        q: Their posterior.
        p: The prior.
        kl_weight: Of log q - log p.
        seed: Of the samples.

    Returns:
        The bound, and the samples, detached.
    """
    z = estimator.rsample(q, seed=seed)
    excess = model.code.log_prob(q, z) - model.code.log_prob(p, z)
    return multi_sample_bound(model.cost(z, x) + kl_weight * excess.sum(-1)).mean(), z.detach()


def _obstacle(estimator: Estimator, config: LatentSettings) -> str | None:
    """Why an estimator does not fit, or None."""
    model, code = config.model, code_of(config.model)
    q: Distribution = code.distribution(torch.zeros(1, code.parameters))
    if estimator.obstacle(q) is not None:
        return f"does not take a {model.latent} code"
    states = variables_of(q).states
    if isinstance(estimator, Exact) and states is not None and states**model.variables > estimator.limit:
        return f"would enumerate {states}^{model.variables} codes, more than {estimator.limit}"
    return None


def _baseline(name: str | None, inputs: int) -> Baseline:
    match name:
        case "none":
            return NoBaseline()
        case "moving-average" | None:
            return MovingAverage()
        case "nvil":
            network = nn.Sequential(nn.Linear(inputs, HIDDEN), nn.Tanh(), nn.Linear(HIDDEN, 1))
            return Nvil(network)
        case _:
            raise AssertionError(name)
