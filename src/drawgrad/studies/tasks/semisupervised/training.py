"""Training with ten labels a class, and what came of it: accuracy and bound on images that were not seen."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch

from drawgrad._typing import Float, Int, Tensor
from drawgrad.estimators import Exact
from drawgrad.studies.data import Images
from drawgrad.studies.data.images import binarize
from drawgrad.studies.data.labels import Labels
from drawgrad.studies.runs.average import Averaged
from drawgrad.studies.runs.folder import RunFolder
from drawgrad.studies.runs.loop import Progress, Run
from drawgrad.studies.runs.settings import SettingError
from drawgrad.studies.tasks.autoencoder.evaluation import mean_and_error
from drawgrad.studies.tasks.autoencoder.gradient import make_estimator
from drawgrad.studies.tasks.autoencoder.objective import ImageTask
from drawgrad.studies.tasks.autoencoder.training import image_run
from drawgrad.studies.tasks.reading.network import moved
from drawgrad.studies.tasks.semisupervised.config import SemiSupervisedConfig
from drawgrad.studies.tasks.semisupervised.model import SemiSupervisedVAE

__all__ = ["Measured", "SemiSupervisedTask", "build_classifier", "chosen", "classifier_run", "measure"]

TOGETHER = 500
"""Images that are measured in one call, each with all classes."""


def build_classifier(config: SemiSupervisedConfig, images: Images) -> SemiSupervisedVAE:
    """The untrained model that settings describe, on the CPU: the same for the same seed.

    Raises:
        SettingError: If the estimator does not fit.
    """
    model = config.model
    return SemiSupervisedVAE(
        classes=model.categories,
        normals=model.normals,
        height=images.height,
        width=images.width,
        channels=model.channels,
        units=model.units,
        base_rates=images.base_rates(),
        estimator=make_estimator(config, images.pixels),
        seed=config.optimization.seed,
    )


def chosen(labels: Int[Tensor, "images"], each: int, seed: int) -> Int[Tensor, "chosen"]:
    """The numbers of images whose labels are told: so many of each class, at random.

    Raises:
        SettingError: If a class has fewer.
    """
    order = torch.randperm(len(labels), generator=torch.Generator().manual_seed(seed))
    shuffled = labels[order]
    found = [order[shuffled == label][:each] for label in range(int(labels.max()) + 1)]
    fewest = min(len(rows) for rows in found)
    if fewest < each:
        raise SettingError(f"must be at most {fewest}, as the rarest class has, but it is {each}; lower it", "labels")
    return torch.cat(found)


class SemiSupervisedTask(ImageTask):
    """Maximizes the bounds on log p(x) of all images and on log p(x, y) of those with a label, and log q(y|x).

    Args:
        model: On the device where it is trained.
        images: Grey images are binarized anew at every step; those of the validation once and for all.
        labels: Of the images; but for the chosen ones of the training, and those of the validation to measure it.
        config: The settings.
        steps: The length of the run, over which the temperature falls.

    Raises:
        SettingError: If there are more classes than the model has, or too few images of one.
    """

    def __init__(
        self, model: SemiSupervisedVAE, images: Images, labels: Labels, config: SemiSupervisedConfig, steps: int
    ) -> None:
        classes = 1 + int(labels.train.max())
        if classes > config.model.categories:
            raise SettingError(
                f"must be at least {classes}, the classes of the images, but it is {config.model.categories}; raise it",
                "categories",
            )
        device = model.mean.device
        super().__init__(images, config.gradient, model.estimator, steps, device)
        self.model = Averaged(model)
        self.supervision = config.supervision
        self._shape = (1, images.height, images.width)
        rows = chosen(labels.train, config.supervision.labels, config.optimization.seed)
        self._labeled, self._labels = images.train[rows].to(device), labels.train[rows].to(device)
        self._valid_labels = labels.valid.to(device)

    def loss(
        self, rows: Int[Tensor, "batch"], step: int, generator: torch.Generator
    ) -> tuple[Float[Tensor, ""], dict[str, Float[Tensor, ""]]]:
        """Minus the bound of a batch, minus that of labeled images, plus alpha times their cross-entropy."""
        # What the step before changed.
        self.model.follow()
        model = self.model.model
        estimator = self.at(model.estimator, step)
        unlabeled = model.bound(self.batch(rows, generator), estimator, generator).mean()
        device, count = self._labels.device, self.supervision.labeled_batch
        told = torch.randint(len(self._labels), (count,), generator=generator, device=device)
        pixels, y = self._labeled[told], self._labels[told]
        labeled = model.labeled_bound(binarize(pixels, self._levels, generator), y, generator).mean()
        if self.supervision.augment:
            pixels = moved(pixels.view(-1, *self._shape).float(), generator).round().to(torch.uint8).flatten(1)
        log_probs = model.log_probs(binarize(pixels, self._levels, generator))
        cross_entropy = -log_probs.gather(1, y[:, None]).mean()
        loss = unlabeled + labeled + self.supervision.alpha * cross_entropy
        measured = {"elbo": -unlabeled, "labeled": -labeled, "cross_entropy": cross_entropy}
        return loss, {name: value.detach() for name, value in measured.items()}

    def validate(self) -> dict[str, float]:
        """The share of validation images whose class is the most probable one."""
        right = _right(self.model.average, self._valid, self._valid_labels)
        return {"accuracy": float(right.double().mean())}


@dataclass(frozen=True)
class Measured:
    """What a model is worth on images that it has not seen.

    Args:
        elbo: The bound on log p(x) in nats, mean over the images, marginalized over the classes.
        elbo_error: Its standard error over the images.
        accuracy: The share of images whose class is the most probable one.
        accuracy_error: Its standard error.
    """

    elbo: float
    elbo_error: float
    accuracy: float
    accuracy_error: float


@torch.no_grad()
def measure(
    model: SemiSupervisedVAE,
    x: Float[Tensor, "images pixels"],
    labels: Int[Tensor, "images"],
    generator: torch.Generator,
    listener: Callable[[int], None] = lambda images: None,
) -> Measured:
    """Measure a model on binary images: all classes of each, and one sample of the normal variables for each class.

    Args:
        model: The model.
        x: Binary images, on its device.
        labels: Their classes.
        generator: Source of the samples, on the same device.
        listener: Told the number of images that are done.
    """
    bounds, done = [], 0
    for block in x.split(TOGETHER):
        bounds.append(-model.bound(block, Exact(), generator).double())
        done += len(block)
        listener(done)
    right = _right(model, x, labels).double()
    return Measured(*mean_and_error(torch.cat(bounds)), *mean_and_error(right))


@torch.no_grad()
def _right(model: SemiSupervisedVAE, x: Tensor, labels: Tensor) -> Tensor:
    return torch.cat([model.log_probs(block).argmax(-1) for block in x.split(TOGETHER)]) == labels


def classifier_run(
    config: SemiSupervisedConfig,
    images: Images,
    labels: Labels,
    folder: RunFolder,
    *,
    listener: Callable[[Progress], None] = lambda progress: None,
) -> Run:
    """A training that is to begin, or to continue from the newest checkpoint in the folder.

    Args:
        config: The settings, as the folder has them.
        images: The data that they name.
        labels: Of these images.
        folder: Where the run lives.
        listener: Told of every step.

    Raises:
        SettingError: If the device does not exist, the estimator does not fit, or a class has too few images.
    """
    return image_run(
        config, images, folder, build_classifier,
        lambda model, steps: SemiSupervisedTask(model, images, labels, config, steps), listener=listener,
    )  # fmt: skip
