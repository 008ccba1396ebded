"""Training to predict the lower half of digits, and the likelihood of those of the test set."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import torch

from drawgrad._typing import Float, Int, Tensor
from drawgrad.estimators import Rebar, Relax
from drawgrad.studies.data import Images
from drawgrad.studies.runs.folder import RunFolder
from drawgrad.studies.runs.loop import Progress, Run
from drawgrad.studies.runs.seeds import seeds_of
from drawgrad.studies.tasks.autoencoder.code import code_of
from drawgrad.studies.tasks.autoencoder.evaluation import Bound, bound_of
from drawgrad.studies.tasks.autoencoder.gradient import check_bound, make_estimator
from drawgrad.studies.tasks.autoencoder.objective import VALID_SEED, ImageTask
from drawgrad.studies.tasks.autoencoder.training import image_run
from drawgrad.studies.tasks.structured.config import StructuredConfig
from drawgrad.studies.tasks.structured.model import StochasticNetwork

__all__ = ["StructuredTask", "build_network", "halves", "log_likelihood", "network_run"]


def halves(x: Float[Tensor, "images pixels"]) -> tuple[Float[Tensor, "images half"], Float[Tensor, "images half"]]:
    """The upper and the lower halves of images, whose pixels are in rows from above."""
    upper, lower = x.chunk(2, -1)
    return upper, lower


def build_network(config: StructuredConfig, images: Images) -> StochasticNetwork:
    """The untrained network that settings describe, on the CPU: the same for the same seed.

    Raises:
        SettingError: If the estimator does not fit, or has no bound of several samples that is asked for.
    """
    code = code_of(config.model)
    upper, lower = images.base_rates().chunk(2)
    estimators = [make_estimator(config, code.features) for _ in range(config.model.layers)]
    for each in estimators[:-1]:
        if isinstance(each, Rebar | Relax):
            # It would be learned from second derivatives of the cost, which the estimators within it do not have.
            each.log_tau.requires_grad_(False)
    check_bound(config, estimators[0])
    return StochasticNetwork(
        code, upper, lower, estimators, torch.Generator().manual_seed(config.optimization.seed),
        multi_sample_bound=config.objective.multi_sample_bound,
    )  # fmt: skip


class StructuredTask(ImageTask):
    """Maximizes log p(lower half | upper half), or the bound of it that the estimators are of.

    Args:
        model: The network, on the device where it is trained.
        images: Grey images are binarized anew at every step; those of the validation once and for all.
        config: The settings.
        steps: The length of the run, over which the temperature falls.
    """

    def __init__(self, model: StochasticNetwork, images: Images, config: StructuredConfig, steps: int) -> None:
        super().__init__(images, config.gradient, model.estimators[0], steps, model.mean.device)
        self.model = model

    def loss(
        self, rows: Int[Tensor, "batch"], step: int, generator: torch.Generator
    ) -> tuple[Float[Tensor, ""], dict[str, Float[Tensor, ""]]]:
        """The expected cost of a batch."""
        return self.objective(self.batch(rows, generator), step, seeds_of(generator))

    def objective(
        self, x: Float[Tensor, "batch pixels"], step: int, seeds: Iterator[Int[Tensor, ""]]
    ) -> tuple[Float[Tensor, ""], dict[str, Float[Tensor, ""]]]:
        """The expected cost of a binary batch."""
        loss = self.model.expected_cost(*halves(x), seeds, lambda each: self.at(each, step)).mean()
        return loss, {"cost": loss.detach()}

    def validate(self) -> dict[str, float]:
        """The mean cost of one hard sample of each of the validation images."""
        generator = torch.Generator(self._valid.device).manual_seed(VALID_SEED)
        return {"cost": -log_likelihood(self.model, self._valid, 1, generator).nats}


def log_likelihood(
    model: StochasticNetwork,
    x: Float[Tensor, "images pixels"],
    samples: int,
    generator: torch.Generator,
    listener: Callable[[int], None] = lambda images: None,
) -> Bound:
    """log p(lower half | upper half) of binary images, bounded with exact samples: log 1/m sum_s p(y|z_s).

    Args:
        model: The network.
        x: Binary images, on its device.
        samples: m, samples an image.
        generator: Source of the samples, on the same device.
        listener: Told the number of images that are done.
    """
    return bound_of(lambda block, count: model.log_likelihoods(*halves(block), count, generator), x, samples, listener)


def network_run(
    config: StructuredConfig,
    images: Images,
    folder: RunFolder,
    *,
    listener: Callable[[Progress], None] = lambda progress: None,
) -> Run:
    """A training that is to begin, or to continue from the newest checkpoint in the folder.

    Args:
        config: The settings, as the folder has them.
        images: The data that they name.
        folder: Where the run lives.
        listener: Told of every step.

    Raises:
        SettingError: If the device does not exist, or the estimator does not fit.
    """
    return image_run(
        config, images, folder, build_network, lambda model, steps: StructuredTask(model, images, config, steps),
        listener=listener,
    )  # fmt: skip
