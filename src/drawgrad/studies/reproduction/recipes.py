"""Recipes of cells: train with some settings, then measure on the validation or the test images."""

from __future__ import annotations

import contextlib
import math
import shutil
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Self

import torch

from drawgrad._typing import Float, Tensor
from drawgrad.studies.data import Images, load
from drawgrad.studies.data.images import fixed_binarization
from drawgrad.studies.data.labels import load_labels
from drawgrad.studies.runs.folder import RunFolder
from drawgrad.studies.runs.loop import NotFinite, Progress, Run, fit
from drawgrad.studies.runs.stack import fit_together
from drawgrad.studies.tasks.autoencoder import config as autoencoder
from drawgrad.studies.tasks.autoencoder.evaluation import Bound, bound_of_model
from drawgrad.studies.tasks.autoencoder.gradient import is_multi_sample, make_estimator
from drawgrad.studies.tasks.autoencoder.objective import VALID_SEED
from drawgrad.studies.tasks.autoencoder.training import TEST_SEED, vae_run
from drawgrad.studies.tasks.semisupervised import config as semisupervised
from drawgrad.studies.tasks.semisupervised.training import classifier_run, measure
from drawgrad.studies.tasks.structured import config as structured
from drawgrad.studies.tasks.structured.training import log_likelihood, network_run

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

    def single(self) -> str | None:
        """Why its seeds are done one at a time; see :class:`~drawgrad.studies.engine.StackableRecipe`."""
        return "is no training of one network"

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
    def prepared(self, config: Any, images: Images, folder: RunFolder, listener: Callable[[Progress], None]) -> Run:
        """The training of a model; the folder may hold a part of it."""

    @abstractmethod
    def measured(
        self, model: Any, x: Float[Tensor, "images pixels"], config: Any, generator: torch.Generator,
        listener: Callable[[int], None],
    ) -> dict[str, float]:  # fmt: skip
        """What the model is worth on binary images: `value`, its standard `error` over the images, and more."""

    def single(self) -> str | None:
        estimator = make_estimator(self.config(0))
        if not estimator.transforms:
            return f"has a gradient, {type(estimator).__name__}, whose control variate learns in backward() alone"
        return None

    def model(self, run: Run) -> Any:
        """What is measured of a run."""
        return run.task.model

    def run(self, seed: int, folder: Path, listener: Listener) -> dict[str, Any]:
        """Train and measure.

        Returns:
            What was measured; `steps`, how many seeds trained `together`, and the `seconds` of training and measuring.
            A training that diverges has `diverged`, the reason, in place of all these.
        """
        config, percent = self.config(seed), _Percent(listener)
        images = load(config.data.data, self.data_dir)
        begin = time.perf_counter()
        with self._begun(config, images, folder, percent) as run:
            try:
                fit(run)
            except NotFinite as error:
                return _diverged(error)
        return self._worth(run, config, images, folder, percent, 1, time.perf_counter() - begin)

    def run_together(
        self, seeds: Sequence[int], folders: Sequence[Path], listeners: Sequence[Listener]
    ) -> Iterator[tuple[int, float, dict[str, Any] | Exception]]:
        """Train several seeds as one program, and measure one after the other; each has the folder of its own run."""
        configs, percents = [self.config(seed) for seed in seeds], [_Percent(listener) for listener in listeners]
        images = load(configs[0].data.data, self.data_dir)
        begin = time.perf_counter()
        with contextlib.ExitStack() as held:
            runs = [
                held.enter_context(self._begun(config, images, folder, percent))
                for config, folder, percent in zip(configs, folders, percents, strict=True)
            ]
            failures = fit_together(runs)
        share = (time.perf_counter() - begin) / len(runs)
        for place, (run, failure) in enumerate(zip(runs, failures, strict=True)):
            begin = time.perf_counter()
            found: dict[str, Any] | Exception
            try:
                if failure is not None:
                    raise failure
                found = self._worth(run, configs[place], images, folders[place], percents[place], len(runs), share)
            except NotFinite as error:
                found = _diverged(error)
            except Exception as error:
                found = error
            yield place, share + time.perf_counter() - begin, found

    @contextlib.contextmanager
    def _begun(self, config: Any, images: Images, folder: Path, percent: _Percent) -> Iterator[Run]:
        """The training in the folder of a job, which nobody else has meanwhile."""
        place = RunFolder(folder / "run")
        with place.held():
            if not place.config.exists():
                place.begin(config)
            yield self.prepared(
                config, images, place, lambda progress: percent("training", progress.step, progress.steps)
            )

    def _worth(
        self, run: Run, config: Any, images: Images, folder: Path, percent: _Percent, together: int, training: float
    ) -> dict[str, Any]:
        """What a training that came to its end is worth."""
        begin = time.perf_counter()
        model = self.model(run)
        grey, draw = (images.test, TEST_SEED) if self.part == "test" else (images.valid, VALID_SEED)
        device = next(model.parameters()).device
        x = fixed_binarization(grey, images.levels, draw).to(device)
        generator = torch.Generator(device).manual_seed(draw)
        found = self.measured(model, x, config, generator, lambda done: percent("measuring", done, len(x)))
        strange = next((name for name, value in found.items() if not math.isfinite(value)), None)
        if strange is not None:
            return {"diverged": f"the {strange} that was measured is {found[strange]}"}
        # What it takes to go on is needed no more, and is large.
        shutil.rmtree(RunFolder(folder / "run").checkpoints, ignore_errors=True)
        return found | {
            "steps": run.progress.steps,
            "together": together,
            "seconds": {"training": training, "measuring": time.perf_counter() - begin},
        }


def _diverged(error: NotFinite) -> dict[str, Any]:
    return {"diverged": str(error)}


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

    def prepared(
        self, config: autoencoder.AutoencoderConfig, images: Images, folder: RunFolder,
        listener: Callable[[Progress], None],
    ) -> Run:  # fmt: skip
        return vae_run(config, images, folder, listener=listener)

    def measured(
        self, model: Any, x: Float[Tensor, "images pixels"], config: autoencoder.AutoencoderConfig,
        generator: torch.Generator, listener: Callable[[int], None],
    ) -> dict[str, float]:  # fmt: skip
        return _figures(bound_of_model(model, x, config.measurement.test_samples, generator, listener))


class TrainStructured(Training):
    """A network with layers of discrete variables that predicts the lower half of an image from the upper half."""

    def config(self, seed: int) -> structured.StructuredConfig:
        return structured.configure(**self.settings, seed=seed)

    def single(self) -> str | None:
        if make_estimator(self.config(0)).multi_sample_bound:
            return "draws all layers of its bound at once, with torch's own samplers"
        return super().single()

    def evaluations(self) -> int:
        config = self.config(0)
        estimator = make_estimator(config)
        once = estimator.evaluations(_states(config.model), config.model.variables)
        # All layers are drawn at once for a multi-sample bound; otherwise each sample of a layer has its own above it.
        return once if is_multi_sample(config, estimator) else once**config.model.layers

    def prepared(
        self, config: structured.StructuredConfig, images: Images, folder: RunFolder,
        listener: Callable[[Progress], None],
    ) -> Run:  # fmt: skip
        return network_run(config, images, folder, listener=listener)

    def measured(
        self, model: Any, x: Float[Tensor, "images pixels"], config: structured.StructuredConfig,
        generator: torch.Generator, listener: Callable[[int], None],
    ) -> dict[str, float]:  # fmt: skip
        return _figures(log_likelihood(model, x, config.measurement.test_samples, generator, listener))


class TrainClassifier(Training):
    """A classifier from few labels and many images; `value` is its accuracy in percent, `elbo` the bound in nats."""

    def config(self, seed: int) -> semisupervised.SemiSupervisedConfig:
        return semisupervised.configure(**self.settings, seed=seed)

    def single(self) -> str | None:
        return "draws images with labels in the middle of a step"

    def check_data(self) -> None:
        super().check_data()
        load_labels(self.config(0).data.data, self.data_dir)

    def evaluations(self) -> int:
        config = self.config(0)
        return make_estimator(config).evaluations(_states(config.model), config.model.variables)

    def prepared(
        self, config: semisupervised.SemiSupervisedConfig, images: Images, folder: RunFolder,
        listener: Callable[[Progress], None],
    ) -> Run:  # fmt: skip
        return classifier_run(config, images, load_labels(config.data.data, self.data_dir), folder, listener=listener)

    def model(self, run: Run) -> Any:
        """The average of the weights."""
        averaged: Any = run.task.model
        return averaged.average

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
