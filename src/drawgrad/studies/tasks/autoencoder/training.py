"""Training an autoencoder and measuring what it learned."""

from __future__ import annotations

import math
import os
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

import torch
from torch import nn

from drawgrad._typing import Float, Tensor
from drawgrad.schedules import Schedule, constant, join
from drawgrad.studies.data import Images
from drawgrad.studies.data.images import fixed_binarization
from drawgrad.studies.files import write_atomically
from drawgrad.studies.runs.folder import RunFolder
from drawgrad.studies.runs.loop import Plan, Progress, Run, Task, fit
from drawgrad.studies.runs.settings import SettingError, read_settings, to_json
from drawgrad.studies.tasks.autoencoder.code import code_of
from drawgrad.studies.tasks.autoencoder.config import AutoencoderConfig, ImageSettings, OptimizationSettings
from drawgrad.studies.tasks.autoencoder.evaluation import bound_of_model, code_usage
from drawgrad.studies.tasks.autoencoder.gradient import make_estimator
from drawgrad.studies.tasks.autoencoder.model import VAE
from drawgrad.studies.tasks.autoencoder.objective import VAETask

__all__ = [
    "TEST_SEED",
    "Results",
    "TrainedVAE",
    "build_model",
    "check_memory",
    "image_run",
    "lr_schedule",
    "make_optimizer",
    "measure",
    "read_results",
    "select_device",
    "train_vae",
    "vae_run",
]

Settings = TypeVar("Settings", bound=ImageSettings)
Model = TypeVar("Model", bound=nn.Module)

TEST_SEED = 20161103
"""Seed of the binarization of grey test images: the same in every run, so that runs compare."""
NUMBER = 4
"""Bytes of a float32."""


@dataclass(frozen=True)
class TrainedVAE:
    """A finished training: the model and how it went."""

    config: AutoencoderConfig
    model: VAE
    progress: Progress
    test: Float[Tensor, "images pixels"]


@dataclass(frozen=True, kw_only=True)
class Results:
    """What came out: bounds and the KL in nats, means over the images; times in seconds.

    Args:
        test_bound: The bound on log p(x) with `test_samples` samples an image, on the test images.
        test_bound_error: Its standard error over the images.
        test_samples: Samples an image.
        test_elbo: The same with one sample.
        test_elbo_error: Its standard error.
        valid_elbo: The ELBO on the validation images.
        train_elbo: The ELBO of the last training steps, with the samples that the decoder was trained with; or the
            bound of several samples that it was trained on.
        test_kl: What a code tells of its image.
        active_variables: Variables that tell more than 0.01 nats.
        variables: All variables.
        perplexity: Classes in effect, of a variable; None for a Gaussian code.
        dead_classes: Classes, over all variables, that are hardly ever chosen; None for a Gaussian code.
        tau: The temperature at the end, if there is one.
        steps: Steps of the training.
        epochs: Passes over the images.
        seconds: Time of the training.
        test_seconds: Time of the test bound.
    """

    test_bound: float
    test_bound_error: float
    test_samples: int
    test_elbo: float
    test_elbo_error: float
    valid_elbo: float
    train_elbo: float
    test_kl: float
    active_variables: int
    variables: int
    perplexity: float | None
    dead_classes: int | None
    tau: float | None
    steps: int
    epochs: int
    seconds: float
    test_seconds: float


def select_device(name: str) -> torch.device:
    """The torch device of that name.

    Raises:
        SettingError: If there is no such device here, or one that does not compute.
    """
    try:
        device = torch.device(name)
        # Whatever torch calls a device may still be absent, or hold no numbers: only using it tells.
        torch.zeros(1, device=device).item()
        torch.Generator(device)
    # Each kind of device has errors of its own.
    except Exception as error:
        available = ["cpu", *(f"cuda:{index}" for index in range(torch.cuda.device_count()))]
        raise SettingError(
            f"{name} is not available on this machine, which has {', '.join(available)}; choose one of these", "device"
        ) from error
    return device


def build_model(config: AutoencoderConfig, images: Images) -> VAE:
    """The untrained model that settings describe, on the CPU: the same for the same seed.

    Raises:
        SettingError: If it is larger than the memory.
    """
    check_memory(config, images)
    generator = torch.Generator().manual_seed(config.optimization.seed)
    learned = config.model.prior == "learned"
    estimator = make_estimator(config, images.pixels)
    return VAE(code_of(config.model), config.model.layers, images.base_rates(), learned, generator, estimator)


def check_memory(config: AutoencoderConfig, images: Images) -> None:
    """Refuse what cannot fit, before a system that promises memory it does not have ends the process.

    Raises:
        SettingError: If the settings ask for more than there is.
    """
    code, pixels = code_of(config.model), images.pixels
    outer, inner = config.model.layers
    weights = _weights(pixels, outer, code.parameters) + _weights(code.features, inner, pixels)
    # Each weight has a gradient and two moments; each number of a sample is there at least forward and backward.
    rows = min(config.data.batch_size, len(images.train)) * (config.gradient.samples or 1)
    needed = NUMBER * (4 * weights + 2 * rows * (code.features + inner + pixels))
    there = _memory(torch.device(config.machine.device))
    if needed > there:
        raise SettingError(
            f"these settings need {_size(needed)} of memory at least, but there are {_size(there)}; lower --hidden, "
            "--variables, --categories, --batch-size or --samples"
        )


def _weights(inputs: int, hidden: int, outputs: int) -> int:
    return (inputs + outputs) * hidden if hidden else inputs * outputs


def _memory(device: torch.device) -> float:
    if device.type == "cuda":
        return torch.cuda.get_device_properties(device).total_memory
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, OSError, ValueError):  # No such question on Windows.
        return math.inf


def _size(count: float) -> str:
    return f"{count / 2**30:,.1f} GiB"


def vae_run(
    config: AutoencoderConfig,
    images: Images,
    folder: RunFolder,
    *,
    listener: Callable[[Progress], None] = lambda progress: None,
    stop: Callable[[], bool] = lambda: False,
) -> Run:
    """A training that is to begin, or to continue from the newest checkpoint in the folder.

    Args:
        config: The settings, as the folder has them; `threads` is the caller's to set, because torch keeps it for the
            whole process.
        images: The data that they name.
        folder: Where the run lives.
        listener: Told of every step.
        stop: Asked after every step whether to stop there.

    Raises:
        SettingError: If the device does not exist, or the model does not fit into its memory.
    """
    return image_run(
        config, images, folder, build_model, lambda model, steps: VAETask(model, images, config, steps),
        listener=listener, stop=stop,
    )  # fmt: skip


def image_run(
    config: Settings,
    images: Images,
    folder: RunFolder,
    build: Callable[[Settings, Images], Model],
    make_task: Callable[[Model, int], Task],
    *,
    listener: Callable[[Progress], None],
    stop: Callable[[], bool] = lambda: False,
) -> Run:
    """A training on images that is to begin, or to continue from the newest checkpoint in the folder.

    Args:
        config: The settings, as the folder has them.
        images: The data that they name.
        folder: Where the run lives.
        build: Makes the untrained model of settings and images.
        make_task: Makes the task of that model, on its device, and of the number of steps.
        listener: Told of every step.
        stop: Asked after every step whether to stop there.

    Raises:
        SettingError: If the device does not exist, or the model cannot be built.
    """
    device = select_device(config.machine.device)
    model = build(config, images).to(device)
    seed = config.optimization.seed
    plan = Plan(config.optimization.epochs, config.data.batch_size, seed, config.measurement.checkpoint_every)
    steps = plan.steps(len(images.train))
    return Run(
        make_task(model, steps),
        make_optimizer(config.optimization, model),
        plan,
        torch.Generator(device).manual_seed(seed),
        folder.saved(config),
        folder.journal,
        lr=lr_schedule(config.optimization, steps),
        listener=listener,
        stop=stop,
    )


def train_vae(
    config: AutoencoderConfig,
    images: Images,
    folder: RunFolder,
    *,
    listener: Callable[[Progress], None] = lambda progress: None,
    stop: Callable[[], bool] = lambda: False,
) -> TrainedVAE:
    """Train, or continue from the newest checkpoint in the folder; arguments as in :func:`vae_run`.

    Returns:
        The trained model and its binary test images.

    Raises:
        Interrupted: If `stop` said so; the last step is saved.
        NotFinite: If the loss is infinite or NaN.
        CheckpointError: If there are checkpoints, but none serves.
        SettingError: If the device does not exist, or the model does not fit into its memory.
        OSError: If the folder cannot be written.
    """
    run = vae_run(config, images, folder, listener=listener, stop=stop)
    progress = fit(run)
    model: Any = run.task.model
    test = fixed_binarization(images.test, images.levels, TEST_SEED).to(model.mean.device)
    return TrainedVAE(config, model, progress, test)


def lr_schedule(settings: OptimizationSettings, steps: int) -> Schedule:
    """The learning rate over a run of that many steps."""
    last = steps // 5
    if settings.lr_end == 1 or last == 0:
        return constant(settings.lr)
    return join([constant(settings.lr), constant(settings.lr * settings.lr_end)], [steps - last])


def make_optimizer(settings: OptimizationSettings, model: nn.Module) -> torch.optim.Optimizer:
    """The optimizer of a model's parameters, as far as they are learned."""
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    match settings.optimizer:
        case "adam":
            return torch.optim.Adam(trained, lr=settings.lr, fused=True)
        case "sgd":
            return torch.optim.SGD(trained, lr=settings.lr, momentum=settings.momentum, fused=True)
        case _:
            raise AssertionError(settings.optimizer)


def measure(
    trained: TrainedVAE, folder: RunFolder, *, listener: Callable[[int], None] = lambda images: None
) -> Results:
    """Measure a trained model on the test images, and write `results.json`.

    Args:
        trained: What to measure.
        folder: Where the run lives.
        listener: Told the number of images that are done.

    Returns:
        The results.

    Raises:
        OSError: If they cannot be written.
    """
    config, model, progress = trained.config, trained.model, trained.progress
    generator = torch.Generator(trained.test.device).manual_seed(TEST_SEED)
    begin = time.perf_counter()
    bound = bound_of_model(model, trained.test, config.measurement.test_samples, generator, listener)
    test_seconds = time.perf_counter() - begin
    usage = code_usage(model, trained.test)
    results = Results(
        test_bound=bound.nats,
        test_bound_error=bound.error,
        test_samples=bound.samples,
        test_elbo=bound.elbo,
        test_elbo_error=bound.elbo_error,
        valid_elbo=progress.latest["valid/elbo"],
        train_elbo=progress.latest["train/elbo"],
        test_kl=usage.kl,
        active_variables=usage.active,
        variables=config.model.variables,
        perplexity=usage.perplexity,
        dead_classes=usage.dead,
        tau=progress.latest.get("train/tau"),
        steps=progress.steps,
        epochs=config.optimization.epochs,
        seconds=progress.seconds,
        test_seconds=test_seconds,
    )
    write_atomically(folder.results, to_json(results))
    return results


def read_results(folder: RunFolder) -> Results | None:
    """The results that :func:`measure` wrote; None if there are none, or, with a warning, if they are damaged."""
    if not folder.results.exists():
        return None
    try:
        return read_settings(Results, folder.results)
    except SettingError:
        warnings.warn(f"{folder.results} is damaged; the model is measured again", RuntimeWarning, stacklevel=2)
        return None
