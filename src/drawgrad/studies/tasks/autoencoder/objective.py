"""The variational bound as a training task: what one step minimizes, and how a model is validated."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import torch

from drawgrad._typing import Float, Int, Tensor
from drawgrad.diagnostics import Monitor
from drawgrad.estimators import Estimator, ReparameterizedEstimator
from drawgrad.functional import draw_seed
from drawgrad.schedules import Schedule, constant, exponential, linear
from drawgrad.studies.data.images import Images, binarize, fixed_binarization
from drawgrad.studies.tasks.autoencoder.config import AutoencoderConfig, GradientSettings, ObjectiveSettings
from drawgrad.studies.tasks.autoencoder.evaluation import draw_codes, log_likelihood
from drawgrad.studies.tasks.autoencoder.gradient import check_bound, expected_cost, sampled_bound, samples_kl
from drawgrad.studies.tasks.autoencoder.model import VAE

__all__ = ["ImageTask", "VAETask", "kl_weight_schedule", "temperature_schedule"]

VALID_SEED = 20160816
"""Seed of the binarization and the samples of the validation: the same in every run, so that runs compare."""
LOOK_EVERY = 50
"""Steps between looks of the monitor."""


def temperature_schedule(settings: GradientSettings, steps: int) -> Schedule:
    """The temperature over a run of that many steps."""
    rate = settings.tau_rate
    if rate is None:
        rate = math.log(settings.tau / settings.tau_min) / (0.75 * steps)
    return exponential(settings.tau, rate, floor=settings.tau_min, every=settings.tau_every)


def kl_weight_schedule(settings: ObjectiveSettings) -> Schedule:
    """The weight of the KL over the steps."""
    return linear(0.0, 1.0, settings.kl_warmup) if settings.kl_warmup else constant(1.0)


class ImageTask:
    """What trainings on images share: binary batches, a validation set that stays, and a temperature that falls.

    Args:
        images: Grey images are binarized anew at every step; those of the validation once and for all.
        settings: Of the gradient.
        estimator: Of the gradient.
        steps: The length of the run, over which the temperature falls.
        device: Where the model is trained.
    """

    def __init__(
        self, images: Images, settings: GradientSettings, estimator: Estimator, steps: int, device: torch.device
    ) -> None:
        self.examples = len(images.train)
        self.tau = temperature_schedule(settings, steps)
        self.has_temperature = estimator.temperature is not None
        self._levels = images.levels
        self._train = images.train.to(device)
        self._valid = fixed_binarization(images.valid, images.levels, VALID_SEED).to(device)

    def at(self, estimator: Estimator, step: int) -> Estimator:
        """The estimator at the temperature of a step, if it has one."""
        return estimator.at(self.tau(step)) if self.has_temperature else estimator

    def settings(self, step: int) -> dict[str, float]:
        """The temperature at a step, if there is one."""
        return {"tau": self.tau(step)} if self.has_temperature else {}

    def batch(self, rows: Int[Tensor, "batch"], generator: torch.Generator) -> Float[Tensor, "batch pixels"]:
        """The training images of some rows, binary."""
        return binarize(self._train.index_select(0, rows), self._levels, generator)


class VAETask(ImageTask):
    """Maximizes E_q[log p(x|z)] - KL(q(z|x), p(z)) over samples z, by the estimator of the model, or a tighter bound.

    Args:
        model: The autoencoder, on the device where it is trained.
        images: Grey images are binarized anew at every step; those of the validation once and for all.
        config: The settings.
        steps: The length of the run, over which the temperature falls.
    """

    def __init__(self, model: VAE, images: Images, config: AutoencoderConfig, steps: int) -> None:
        super().__init__(images, config.gradient, model.estimator, steps, model.mean.device)
        check_bound(config, model.estimator)
        self.model = model
        self.multi_sample_bound = config.objective.multi_sample_bound
        self.kl_weight = kl_weight_schedule(config.objective)
        self.free_bits = config.objective.free_bits
        self.samples_kl = samples_kl(config, model.estimator)
        self.monitor = Monitor(every=LOOK_EVERY)

    def loss(
        self, rows: Int[Tensor, "batch"], step: int, generator: torch.Generator
    ) -> tuple[Float[Tensor, ""], dict[str, Float[Tensor, ""]]]:
        """The negative bound of a batch, with a weighted and freed KL; the measures are of the plain bound."""
        loss, measured, seen = self._bound(self.batch(rows, generator), step, draw_seed(generator=generator))
        tau = self.tau(step) if self.has_temperature else None
        self.monitor.observe(step + 1, loss=loss, tau=tau, **seen)
        return loss, measured

    def objective(
        self, x: Float[Tensor, "batch pixels"], step: int, seeds: Iterator[Int[Tensor, ""]]
    ) -> tuple[Float[Tensor, ""], dict[str, Float[Tensor, ""]]]:
        """The loss of a binary batch, at which the monitor does not look: it sees one run at a time."""
        loss, measured, _ = self._bound(x, step, next(seeds))
        return loss, measured

    def _bound(
        self, x: Float[Tensor, "batch pixels"], step: int, seed: Int[Tensor, ""]
    ) -> tuple[Float[Tensor, ""], dict[str, Float[Tensor, ""]], dict[str, Any]]:
        """The loss, the measures, and what a monitor may look at."""
        estimator, weight = self.at(self.model.estimator, step), self.kl_weight(step)
        q, p = self.model.posterior(x), self.model.prior()
        within = self.samples_kl
        if self.multi_sample_bound and isinstance(estimator, ReparameterizedEstimator):
            cost, z = sampled_bound(estimator, self.model, x, q, p, weight, seed)
        else:
            cost, z = expected_cost(estimator, self.model, x, q, p, weight if within else None, seed)
        kls = self.model.code.kl(q, p)
        kl = kls.mean(0)
        # Below its free nats a variable costs the same whatever it says, so that it is not pressed to say nothing.
        penalty = kl.clamp(min=self.free_bits).sum() if self.free_bits else kl.sum()
        loss = cost if within else cost + weight * penalty
        with torch.no_grad():
            plain = cost - weight * kl.sum() if within else cost.detach()
            measured = {"elbo": -(plain + kl.sum()), "cost": plain, "kl": kl.sum()}
        return loss, measured, {"q": q, "z": z, "kl": kls}

    def settings(self, step: int) -> dict[str, float]:
        """The weight of the KL at a step, the temperature if there is one, and what the monitor saw if it looked."""
        found = {"kl_weight": self.kl_weight(step)} | super().settings(step)
        if (step + 1) % LOOK_EVERY == 0:
            found |= {f"monitor/{name}": value for name, value in self.monitor.figures.items()}
        return found

    @torch.no_grad()
    def validate(self) -> dict[str, float]:
        """The bound on the validation images with one hard sample each, and the KL in closed form."""
        generator = torch.Generator(self._valid.device).manual_seed(VALID_SEED)
        code = self.model.code
        cost = kl = 0.0
        for x in self._valid.split(2000):
            q = self.model.posterior(x)
            codes = draw_codes(q, 1, generator)
            cost -= float(log_likelihood(self.model, codes, x).sum())
            kl += float(code.kl(q, self.model.prior()).sum())
        count = len(self._valid)
        return {"elbo": -(cost + kl) / count, "cost": cost / count, "kl": kl / count}
