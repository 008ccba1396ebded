"""The training of a reader by a lesson: what that tells of the images is its own affair, and no label is part of it."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import torch
from torch import nn

from drawgrad._checks import check_count
from drawgrad._typing import Float, Int, Tensor
from drawgrad.schedules import cosine, join, linear
from drawgrad.studies.runs.average import Averaged
from drawgrad.studies.runs.checkpoints import Checkpoints
from drawgrad.studies.runs.journal import Journal, read_metrics
from drawgrad.studies.runs.loop import Plan, Progress, Run, fit
from drawgrad.studies.tasks.reading.network import Reader

__all__ = ["Lesson", "Trained", "Training", "train"]

WARM = 50
"""Steps in which the learning rate rises."""
CHECKPOINT_EVERY = 250


class Lesson(Protocol):
    """What a reader is trained with.

    Attributes:
        examples: How many there are.
    """

    examples: int

    def loss(self, reader: nn.Module, rows: Int[Tensor, "batch"], generator: torch.Generator) -> Float[Tensor, ""]:
        """The loss on some examples."""

    def watch(self, reader: nn.Module) -> float:
        """The share of unseen digits that are read rightly: for the spectator, nothing depends on it."""


@dataclass(frozen=True)
class Training:
    """How a reader is trained.

    Args:
        epochs: Passes over the examples.
        batch: Examples a step.
        lr: Highest learning rate of Adam, which falls along a cosine to zero.
        watch_every: Steps between looks of the spectator.

    Raises:
        ValueError: If a number is out of its range.
    """

    epochs: int
    batch: int
    lr: float = 2e-3
    watch_every: int = 25

    def __post_init__(self) -> None:
        for name in ("epochs", "batch", "watch_every"):
            check_count(getattr(self, name), name, minimum=1)
        if not 0 < self.lr < 1:
            raise ValueError(f"lr must be above 0 and below 1, but it is {self.lr!r}; 0.002 is usual")


@dataclass(frozen=True)
class Trained:
    """A reader, and how it came to be.

    Attributes:
        reader: With the average of the weights.
        curve: Step, seconds of the processor, and share of unseen digits read rightly, at each look.
    """

    reader: Reader
    curve: list[tuple[int, float, float]]

    @property
    def seconds(self) -> float:
        """What the training took, in seconds of the processor."""
        return self.curve[-1][1]

    def reached(self, share: float) -> tuple[int, float] | None:
        """The first step and second at which so many digits were read rightly; None if there was none."""
        return next(((step, seconds) for step, seconds, right in self.curve if right >= share), None)


def train(
    lesson: Lesson,
    reader: Callable[[], Reader],
    training: Training,
    seed: int,
    folder: Path,
    listener: Callable[[str], None] = lambda message: None,
) -> Trained:
    """Train a reader, or go on from the newest checkpoint in the folder.

    Args:
        lesson: What it is trained with.
        reader: Makes an untrained one.
        training: How.
        seed: Of weights, order and images.
        folder: For checkpoints and measurements.
        listener: Told now and then how far it is.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        learner = _Learner(reader())
    task = _Task(learner, lesson)
    plan = Plan(training.epochs, training.batch, seed, CHECKPOINT_EVERY, training.watch_every)
    steps = plan.steps(lesson.examples)
    warm = min(WARM, steps)
    rise, fall = linear(0.0, training.lr, warm), cosine(training.lr, 0.0, max(1, steps - warm))
    rate = join([rise, fall], boundaries=[warm])
    metrics = folder / "metrics.jsonl"

    def told(progress: Progress) -> None:
        if progress.step % training.watch_every == 0:
            listener(f"step {progress.step} of {steps}, {progress.latest.get('train/digits', 0.0):.2%} of digits right")

    fit(
        Run(
            task,
            torch.optim.Adam(learner.model.parameters(), lr=training.lr),
            plan,
            torch.Generator().manual_seed(seed),
            Checkpoints(folder / "checkpoints", repr((training, seed))),
            lambda step: Journal(metrics, folder / "tensorboard", step),
            lr=lambda step: rate(step + 1),
            listener=told,
        )
    )
    lines = [line for line in read_metrics(metrics) if line["kind"] == "train"]
    curve = [(int(line["step"]), float(line["cpu"]), float(line["digits"])) for line in lines]
    return Trained(learner.average, curve)


class _Learner(Averaged[Reader]):
    """What a run carries from one session to the next: the reader, the average of its weights, the seconds it took."""

    seconds: Tensor

    def __init__(self, reader: Reader) -> None:
        super().__init__(reader)
        self.register_buffer("seconds", torch.zeros((), dtype=torch.float64))


class _Task:
    """A lesson as the loop wants it."""

    def __init__(self, model: _Learner, lesson: Lesson) -> None:
        self.model = model
        self.examples = lesson.examples
        self._lesson = lesson
        self._since: float | None = None

    def loss(self, rows: Tensor, step: int, generator: torch.Generator) -> tuple[Tensor, dict[str, Tensor]]:
        # What the step before changed; and its time, without that of the spectator.
        self._mark()
        self.model.follow()
        value = self._lesson.loss(self.model.model, rows, generator)
        return value, {"loss": value.detach()}

    def settings(self, step: int) -> dict[str, float]:
        self._mark()
        digits = self._lesson.watch(self.model.average)
        self._since = time.process_time()
        return {"digits": digits, "cpu": float(self.model.seconds)}

    def validate(self) -> dict[str, float]:
        return {}

    def _mark(self) -> None:
        now = time.process_time()
        if self._since is not None:
            self.model.seconds += now - self._since
        self._since = now
