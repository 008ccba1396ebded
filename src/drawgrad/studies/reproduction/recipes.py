"""Recipes of cells: train with some settings, then measure on the validation or the test images."""

from __future__ import annotations

import math
import shutil
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Self

import torch
from torch import nn

from drawgrad._typing import Float, Tensor
from drawgrad.studies.data import Images, load
from drawgrad.studies.data.images import fixed_binarization
from drawgrad.studies.data.labels import load_labels
from drawgrad.studies.runs.folder import RunFolder
from drawgrad.studies.runs.loop import NotFinite, Progress
from drawgrad.studies.tasks.autoencoder import config as autoencoder
from drawgrad.studies.tasks.autoencoder.evaluation import Bound, multi_sample_bound
from drawgrad.studies.tasks.autoencoder.gradient import make_estimator
from drawgrad.studies.tasks.autoencoder.objective import VALID_SEED
from drawgrad.studies.tasks.autoencoder.training import TEST_SEED, train_vae
from drawgrad.studies.tasks.semisupervised import config as semisupervised
from drawgrad.studies.tasks.semisupervised.training import measure, train_classifier
from drawgrad.studies.tasks.structured import config as structured
from drawgrad.studies.tasks.structured.training import log_likelihood, train_network

__all__ = ["CellRecipe", "Listener", "TrainAutoencoder", "TrainClassifier", "TrainStructured", "Training"]

EXAMPLES = {"digits": 1399, "mnist": 50_000, "binarized-mnist": 50_000}
"""Training images of each data set."""

Listener = Callable[[str], None]


@dataclass(frozen=True, eq=False)
class CellRecipe(ABC):
    """What is done for a cell of a table.

    Args:
        settings: By name; all others have their usual values.
        part: Of the images that are measured: `test`, or `valid` where a setting is chosen.
        data_dir: Folder with the data files; nothing that decides on the result.
    """

    settings: Mapping[str, Any]
    part: str = "test"
    data_dir: Path | None = field(default=None, compare=False)

    def changed(self, **settings: Any) -> Self:
        """The recipe with some settings in place of its own."""
        return replace(self, settings={**self.settings, **settings})

    def lasting(self, steps: int) -> Self:
        """The recipe with so many steps, rounded to whole passes over the images; one at least."""
        config = self.config(0)
        return self.changed(epochs=max(1, round(steps * config.data.batch_size / EXAMPLES[config.data.data])))

    @property
    def data(self) -> str | None:
        """The data set that it reads; None if it needs none."""
        return str(self.config(0).data.data)

    def check_data(self) -> None:
        """Read the data once.

        Raises:
            DataError: If they are missing, damaged, or cannot be downloaded.
        """
        if self.data is not None:
            load(self.data, self.data_dir)

    @abstractmethod
    def config(self, seed: int) -> Any:
        """All settings."""

    @abstractmethod
    def evaluations(self) -> int:
        """How many samples of an image the last layer of the model sees in a step."""

    @abstractmethod
    def run(self, seed: int, folder: Path, listener: Listener) -> dict[str, Any]:
        """Do it; see :class:`~drawgrad.studies.engine.Recipe`.

        Returns:
            Numbers by name, of which cells show some: `value`, and others. The standard error of `value` is `error`,
            that of another number `name` is `name_error`. What diverges has `diverged`, the reason, in their place.
        """


class Training(CellRecipe):
    """A recipe that trains a model on images and measures it on others."""

    @abstractmethod
    def train(self, config: Any, images: Images, folder: RunFolder, listener: Callable[[Progress], None]) -> Any:
        """The trained model; the folder may hold a part of this training."""

    @abstractmethod
    def measured(
        self, model: Any, x: Float[Tensor, "images pixels"], config: Any, generator: torch.Generator,
        listener: Callable[[int], None],
    ) -> dict[str, float]:  # fmt: skip
        """What the model is worth on binary images: `value`, its standard `error` over the images, and more."""

    def run(self, seed: int, folder: Path, listener: Listener) -> dict[str, Any]:
        """Train and measure.

        Returns:
            What was measured; `steps`, and the `seconds` of training and measuring. A training that diverges has
            `diverged`, the reason, in place of all these.
        """
        config = self.config(seed)
        images = load(config.data.data, self.data_dir)
        run = RunFolder(folder / "run")
        percent = _Percent(listener)
        begin = time.perf_counter()
        with run.held():
            if not run.config.exists():
                run.begin(config)
            try:
                model = self.train(
                    config, images, run, lambda progress: percent("training", progress.step, progress.steps)
                )
            except NotFinite as error:
                return {"diverged": str(error)}
        trained = time.perf_counter()
        grey, draw = (images.test, TEST_SEED) if self.part == "test" else (images.valid, VALID_SEED)
        device = next(model.parameters()).device
        x = fixed_binarization(grey, images.levels, draw).to(device)
        generator = torch.Generator(device).manual_seed(draw)
        found = self.measured(model, x, config, generator, lambda done: percent("measuring", done, len(x)))
        strange = next((name for name, value in found.items() if not math.isfinite(value)), None)
        if strange is not None:
            return {"diverged": f"the {strange} that was measured is {found[strange]}"}
        # What it takes to go on is needed no more, and is large.
        shutil.rmtree(run.checkpoints, ignore_errors=True)
        return found | {
            "steps": config.optimization.epochs * math.ceil(len(images.train) / config.data.batch_size),
            "seconds": {"training": trained - begin, "measuring": time.perf_counter() - trained},
        }


def _figures(bound: Bound) -> dict[str, float]:
    """Minus the bound in nats, its standard error over the images, and the same with one sample an image."""
    return {"value": -bound.nats, "error": bound.error, "single": -bound.elbo, "samples": bound.samples}


class _Percent:
    """Tells how far something is, once a percent."""

    def __init__(self, listener: Listener) -> None:
        self.listener = listener
        self.told = ""

    def __call__(self, what: str, done: int, of: int) -> None:
        message = f"{what} {100 * done // of} %"
        if message != self.told:
            self.told = message
            self.listener(message)


def _states(model: autoencoder.CodeSettings) -> int:
    return 2 if model.latent == "bernoulli" else model.categories


class TrainAutoencoder(Training):
    """A variational autoencoder, with the settings of `drawgrad train`."""

    def config(self, seed: int) -> autoencoder.AutoencoderConfig:
        return autoencoder.configure(**self.settings, seed=seed)

    def evaluations(self) -> int:
        config = self.config(0)
        return make_estimator(config).evaluations(_states(config.model), config.model.variables)

    def train(
        self, config: autoencoder.AutoencoderConfig, images: Images, folder: RunFolder,
        listener: Callable[[Progress], None],
    ) -> nn.Module:  # fmt: skip
        return train_vae(config, images, folder, listener=listener).model

    def measured(
        self, model: Any, x: Float[Tensor, "images pixels"], config: autoencoder.AutoencoderConfig,
        generator: torch.Generator, listener: Callable[[int], None],
    ) -> dict[str, float]:  # fmt: skip
        return _figures(multi_sample_bound(model, x, config.measurement.test_samples, generator, listener))


class TrainStructured(Training):
    """A network with layers of discrete variables that predicts the lower half of an image from the upper half."""

    def config(self, seed: int) -> structured.StructuredConfig:
        return structured.configure(**self.settings, seed=seed)

    def evaluations(self) -> int:
        config = self.config(0)
        estimator = make_estimator(config)
        once = estimator.evaluations(_states(config.model), config.model.variables)
        # All layers are drawn at once for a multi-sample bound; otherwise each sample of a layer has its own above it.
        return once if estimator.multi_sample_bound else once**config.model.layers

    def train(
        self, config: structured.StructuredConfig, images: Images, folder: RunFolder,
        listener: Callable[[Progress], None],
    ) -> nn.Module:  # fmt: skip
        return train_network(config, images, folder, listener=listener)

    def measured(
        self, model: Any, x: Float[Tensor, "images pixels"], config: structured.StructuredConfig,
        generator: torch.Generator, listener: Callable[[int], None],
    ) -> dict[str, float]:  # fmt: skip
        return _figures(log_likelihood(model, x, config.measurement.test_samples, generator, listener))


class TrainClassifier(Training):
    """A classifier from few labels and many images; `value` is its accuracy in percent, `elbo` the bound in nats."""

    def config(self, seed: int) -> semisupervised.SemiSupervisedConfig:
        return semisupervised.configure(**self.settings, seed=seed)

    def check_data(self) -> None:
        super().check_data()
        load_labels(self.config(0).data.data, self.data_dir)

    def evaluations(self) -> int:
        config = self.config(0)
        return make_estimator(config).evaluations(_states(config.model), config.model.variables)

    def train(
        self, config: semisupervised.SemiSupervisedConfig, images: Images, folder: RunFolder,
        listener: Callable[[Progress], None],
    ) -> nn.Module:  # fmt: skip
        return train_classifier(config, images, load_labels(config.data.data, self.data_dir), folder, listener=listener)

    def measured(
        self, model: Any, x: Float[Tensor, "images pixels"], config: semisupervised.SemiSupervisedConfig,
        generator: torch.Generator, listener: Callable[[int], None],
    ) -> dict[str, float]:  # fmt: skip
        labels = load_labels(config.data.data, self.data_dir)
        of_part = labels.test if self.part == "test" else labels.valid
        found = measure(model, x, of_part.to(x.device), generator, listener)
        return {
            "value": 100 * found.accuracy, "error": 100 * found.accuracy_error,
            "elbo": found.elbo, "elbo_error": found.elbo_error,
        }  # fmt: skip
