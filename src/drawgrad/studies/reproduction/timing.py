"""A recipe that trains nothing to its end: how many steps a second two gradients take, side by side."""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Self

import torch

from drawgrad.studies.data import Images, load
from drawgrad.studies.data.labels import Labels
from drawgrad.studies.reproduction.recipes import CellRecipe, Listener
from drawgrad.studies.tasks.autoencoder.gradient import make_estimator
from drawgrad.studies.tasks.autoencoder.training import make_optimizer, select_device
from drawgrad.studies.tasks.semisupervised import config as semisupervised
from drawgrad.studies.tasks.semisupervised.training import SemiSupervisedTask, build_classifier

__all__ = ["TimeClassifier"]

ROUNDS = 5
"""In which both are timed, one after the other."""
WARM = 2
"""Steps before the first round: memory is had, and what is compiled or looked up at the first call is there."""
SLOW, FAST = {"estimator": "Exact"}, {"estimator": "GumbelSoftmax"}


class TimeClassifier(CellRecipe):
    """Steps a second of the training of a classifier, marginalized and with Gumbel-Softmax, for any number of classes.

    Labels are drawn at random, as the time does not depend on them. `slow` and `fast` are steps a second, `value` is
    the ratio, each the mean over rounds in which both are timed, with its standard error. The setting `epochs` has no
    part in it.
    """

    def config(self, seed: int) -> semisupervised.SemiSupervisedConfig:
        return semisupervised.configure(**self.settings, seed=seed)

    def lasting(self, steps: int) -> Self:
        """The recipe as it is: it takes as many steps as a time needs."""
        return self

    def evaluations(self) -> int:
        """Of marginalization; Gumbel-Softmax has one."""
        model = self.config(0).model
        return make_estimator(self.changed(**SLOW).config(0)).evaluations(model.categories, model.variables)

    def run(self, seed: int, folder: Path, listener: Listener) -> dict[str, Any]:
        images = load(self.config(0).data.data, self.data_dir)
        slow, fast = (self._step(self.changed(**gradient).config(seed), images) for gradient in (SLOW, FAST))
        counts = [_enough(step) for step in (slow, fast)]
        rates: list[tuple[float, float]] = []
        for done in range(ROUNDS):
            listener(f"round {done + 1} of {ROUNDS}")
            rates.append((_rate(slow, counts[0]), _rate(fast, counts[1])))
        of_slow, of_fast = ([rate[place] for rate in rates] for place in (0, 1))
        ratios = [quick / slower for slower, quick in rates]
        found = {}
        for name, values in (("value", ratios), ("slow", of_slow), ("fast", of_fast)):
            found[name] = statistics.fmean(values)
            found["error" if name == "value" else f"{name}_error"] = statistics.stdev(values) / math.sqrt(ROUNDS)
        return found

    def _step(self, config: semisupervised.SemiSupervisedConfig, images: Images) -> Callable[[], None]:
        """What takes a step of the training."""
        device, seed = select_device(config.machine.device), config.optimization.seed
        generator = torch.Generator().manual_seed(seed)
        parts = images.train, images.valid, images.test
        labels = Labels(*(torch.randint(config.model.categories, (len(part),), generator=generator) for part in parts))
        model = build_classifier(config, images).to(device)
        task = SemiSupervisedTask(model, images, labels, config, 1)
        optimizer = make_optimizer(config.optimization, model)
        draws = torch.Generator(device).manual_seed(seed)

        def step() -> None:
            rows = torch.randint(len(images.train), (config.data.batch_size,), generator=draws, device=device)
            loss, _ = task.loss(rows, 0, draws)
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            optimizer.step()
            if device.type == "cuda":
                torch.cuda.synchronize(device)

        return step


def _rate(step: Callable[[], None], count: int) -> float:
    begin = time.perf_counter()
    for _ in range(count):
        step()
    return count / (time.perf_counter() - begin)


def _enough(step: Callable[[], None], seconds: float = 0.3) -> int:
    """How many steps take so long, one at least."""
    for _ in range(WARM):
        step()
    return max(1, round(seconds * _rate(step, 1)))
