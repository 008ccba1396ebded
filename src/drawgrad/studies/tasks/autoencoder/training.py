"""The main job: train an autoencoder with a discrete code on real images, and measure it."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch

from drawgrad._typing import Float, Tensor
from drawgrad.studies.data import Images
from drawgrad.studies.data.images import fixed_binarization
from drawgrad.studies.files import write_atomically
from drawgrad.studies.runs.checkpoints import Checkpoints
from drawgrad.studies.runs.folder import RunFolder
from drawgrad.studies.runs.journal import Journal
from drawgrad.studies.runs.loop import Plan, Progress, fit
from drawgrad.studies.tasks.autoencoder.code import make_latent
from drawgrad.studies.tasks.autoencoder.config import ConfigError, TrainConfig
from drawgrad.studies.tasks.autoencoder.evaluation import code_usage, multi_sample_bound
from drawgrad.studies.tasks.autoencoder.gradient import make_estimator
from drawgrad.studies.tasks.autoencoder.model import VAE
from drawgrad.studies.tasks.autoencoder.objective import VAETask

__all__ = ["TEST_SEED", "TrainedVAE", "build_model", "measure", "select_device", "train_vae"]

TEST_SEED = 20161103
"""Seed of the binarization of grey test images: the same in every run, so that runs compare."""


@dataclass(frozen=True)
class TrainedVAE:
    """A finished training: the model and how it went."""

    config: TrainConfig
    model: VAE
    progress: Progress
    test: Float[Tensor, "images pixels"]


def select_device(name: str) -> torch.device:
    """The torch device of that name.

    Raises:
        ConfigError: If there is no such device here.
    """
    try:
        device = torch.device(name)
        # Whatever torch calls a device may still be absent: only using it tells.
        torch.zeros(1, device=device)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        available = ["cpu", *(f"cuda:{index}" for index in range(torch.cuda.device_count()))]
        raise ConfigError(
            f"{name} is not available on this machine, which has {', '.join(available)}; choose one of these", "device"
        ) from error
    return device


def build_model(config: TrainConfig, images: Images) -> VAE:
    """The untrained model that settings describe, on the CPU: the same for the same seed."""
    latent = make_latent(config.latent, config.variables, config.categories)
    generator = torch.Generator().manual_seed(config.seed)
    rates = images.base_rates()
    model = VAE(latent, config.hidden, rates, config.prior == "learned", generator)
    if config.estimator is not None:
        model.estimator = make_estimator(config, len(rates))
    return model


def train_vae(
    config: TrainConfig,
    images: Images,
    folder: RunFolder,
    *,
    listener: Callable[[Progress], None] = lambda progress: None,
    stop: Callable[[], bool] = lambda: False,
) -> TrainedVAE:
    """Train, or continue from the newest checkpoint in the folder.

    Args:
        config: The settings; `threads` is the caller's to set, because torch keeps it for the whole process.
        images: The data that they name.
        folder: Where the run lives.
        listener: Told of every step.
        stop: Asked after every step whether to stop there.

    Returns:
        The trained model and its binary test images.

    Raises:
        Interrupted: If `stop` said so; the last step is saved.
        NotFinite: If the loss is infinite or NaN.
        CheckpointError: If there are checkpoints, but none can be read.
        ConfigError: If the device does not exist.
    """
    device = select_device(config.device)
    model = build_model(config, images).to(device)
    plan = Plan(config.epochs, config.batch_size, config.seed, config.checkpoint_every)
    progress = fit(
        VAETask(model, images, config, plan.steps(len(images.train))),
        _optimizer(config, model),
        plan,
        torch.Generator(device).manual_seed(config.seed),
        Checkpoints(folder.checkpoints),
        lambda step: Journal(folder.metrics, folder.events, step),
        listener=listener,
        stop=stop,
    )
    test = fixed_binarization(images.test, images.levels, TEST_SEED).to(device)
    return TrainedVAE(config, model, progress, test)


def _optimizer(config: TrainConfig, model: VAE) -> torch.optim.Optimizer:
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    match config.optimizer:
        case "adam":
            return torch.optim.Adam(trained, lr=config.lr, fused=True)
        case "sgd":
            return torch.optim.SGD(trained, lr=config.lr, momentum=config.momentum, fused=True)
        case _:
            raise AssertionError(config.optimizer)


def measure(
    trained: TrainedVAE, folder: RunFolder, *, listener: Callable[[int], None] = lambda images: None
) -> dict[str, Any]:
    """Measure a trained model on the test images, and write `results.json`.

    Args:
        trained: What to measure.
        folder: Where the run lives.
        listener: Told the number of images that are done.

    Returns:
        The results, all of them numbers in nats, seconds or counts.
    """
    config, model, progress = trained.config, trained.model, trained.progress
    generator = torch.Generator(trained.test.device).manual_seed(TEST_SEED)
    begin = time.perf_counter()
    bound = multi_sample_bound(model, trained.test, config.test_samples, generator, listener)
    test_seconds = time.perf_counter() - begin
    usage = code_usage(model, trained.test)
    results = {
        "test_bound": bound.nats,
        "test_bound_error": bound.error,
        "test_samples": bound.samples,
        "test_elbo": bound.elbo,
        "test_elbo_error": bound.elbo_error,
        "valid_elbo": progress.latest["valid/elbo"],
        "train_elbo": progress.latest["train/elbo"],
        "test_kl": usage.kl,
        "active_variables": usage.active,
        "variables": config.variables,
        "perplexity": usage.perplexity,
        "dead_classes": usage.dead,
        "tau": progress.latest.get("train/tau"),
        "steps": progress.steps,
        "epochs": config.epochs,
        "seconds": progress.seconds,
        "test_seconds": test_seconds,
    }
    write_atomically(folder.results, json.dumps(results, indent=2) + "\n")
    return results
