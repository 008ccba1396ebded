"""One training loop for every study: epochs of shuffled batches, measurements, checkpoints, and exact continuation."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Protocol, Self

import torch
from torch import nn

from drawgrad._typing import Float, Int, Tensor
from drawgrad.schedules import Schedule, cosine
from drawgrad.studies.runs.checkpoints import Checkpoints
from drawgrad.studies.runs.journal import Journal

__all__ = ["Interrupted", "NotFinite", "Plan", "Progress", "Run", "Task", "descend", "falling", "fit"]


class Task(Protocol):
    """What is trained: a model, a loss on some of the training examples, and a validation."""

    examples: int

    @property
    def model(self) -> nn.Module:
        """The model, on the device where it is trained."""

    def loss(
        self, rows: Int[Tensor, "batch"], step: int, generator: torch.Generator
    ) -> tuple[Float[Tensor, ""], dict[str, Float[Tensor, ""]]]:
        """The loss on the examples `rows` at a step, and what to report of them, detached."""

    def settings(self, step: int) -> dict[str, float]:
        """The scheduled numbers at a step, to report."""

    def validate(self) -> dict[str, float]:
        """Measure on the validation examples. Draws from no generator but its own."""


@dataclass(frozen=True)
class Plan:
    """How long to train and how often to look.

    Args:
        epochs: Passes over the examples.
        batch_size: Examples a step; the last step of an epoch takes the rest.
        seed: Seed of the order of the examples.
        checkpoint_every: Steps between checkpoints.
        log_every: Steps between lines of measurements.
    """

    epochs: int
    batch_size: int
    seed: int
    checkpoint_every: int
    log_every: int = 50

    def steps_per_epoch(self, examples: int) -> int:
        """The number of batches that hold all examples once."""
        return math.ceil(examples / self.batch_size)

    def steps(self, examples: int) -> int:
        """The number of batches of the whole run."""
        return self.epochs * self.steps_per_epoch(examples)


@dataclass
class Progress:
    """Where a run stands; handed to the listener after every step.

    Args:
        step: Steps taken.
        steps: Steps to take.
        seconds: Time spent on training, all sessions of a resumed run together.
        latest: The newest measurements, `train/elbo` and the like.
    """

    step: int
    steps: int
    seconds: float = 0.0
    latest: dict[str, float] = field(default_factory=dict)


class Interrupted(Exception):
    """The run was asked to stop; its last step is saved."""

    def __init__(self, step: int) -> None:
        super().__init__(f"stopped after step {step}")
        self.step = step


class NotFinite(ArithmeticError):
    """The loss became infinite or NaN."""


def descend(loss: Callable[[int], Tensor], optimizer: torch.optim.Optimizer, steps: range) -> Iterator[int]:
    """Minimize: one step of the optimizer for each step of a range.

    Args:
        loss: Of a step, a scalar, or a tensor of losses that are minimized side by side.
        optimizer: Holds the parameters.
        steps: The numbers of the steps.

    Yields:
        After each step, how many are taken: its number plus one.

    Example:
        >>> x = torch.zeros(2, requires_grad=True)
        >>> for _ in descend(lambda step: (x - 3) ** 2, torch.optim.SGD([x], lr=0.25), range(50)):
        ...     pass
        >>> x.detach()
        tensor([3., 3.])
    """
    for step in steps:
        value = loss(step)
        optimizer.zero_grad(set_to_none=True)
        value.sum().backward()
        optimizer.step()
        yield step + 1


def falling(loss: Callable[[int], Tensor], optimizer: torch.optim.Optimizer, steps: int) -> Callable[[int], Tensor]:
    """The loss of a step, which first lets the learning rates of an optimizer fall along a cosine to zero.

    Args:
        loss: Of a step.
        optimizer: With the highest rates.
        steps: At which the rates would be zero.
    """
    highest = [group["lr"] for group in optimizer.param_groups]
    share = cosine(1.0, 0.0, steps)

    def at(step: int) -> Tensor:
        for group, rate in zip(optimizer.param_groups, highest, strict=True):
            group["lr"] = rate * share(step)
        return loss(step)

    return at


class Run:
    """A training on its way: where it stands, and what is noted and saved as it goes on.

    Who takes its steps enters it, which brings it to the newest checkpoint if there is one; then for each step asks it
    to :meth:`begin`, moves the weights, tells it what it :meth:`saw`, and lets it :meth:`end` the step.

    All randomness comes from `generator`, whose state is part of a checkpoint, and from `plan.seed`: on one machine
    a run that was interrupted anywhere ends with the same weights, bit for bit, as one that was not (on the CPU; GPU
    kernels that add in no fixed order may differ).

    Args:
        task: What to train.
        optimizer: Holds the task's parameters.
        plan: How long, and how often to look.
        generator: Source of randomness of the losses, on the device of the model.
        checkpoints: Where to save, and where to continue from.
        open_journal: Opens the record of measurements at a step.
        lr: The learning rate of each step. If None, it stays as the optimizer has it.
        listener: Told of every step.
        stop: Asked after every step whether to stop there.

    Attributes:
        progress: Where it stands.
    """

    def __init__(
        self,
        task: Task,
        optimizer: torch.optim.Optimizer,
        plan: Plan,
        generator: torch.Generator,
        checkpoints: Checkpoints,
        open_journal: Callable[[int], Journal],
        *,
        lr: Schedule | None = None,
        listener: Callable[[Progress], None] = lambda progress: None,
        stop: Callable[[], bool] = lambda: False,
    ) -> None:
        self.task = task
        self.optimizer = optimizer
        self.plan = plan
        self.generator = generator
        self.progress = Progress(step=0, steps=plan.steps(task.examples))
        self._checkpoints = checkpoints
        self._open_journal = open_journal
        self._lr = lr
        self._listener = listener
        self._stop = stop
        self._means = _Means()

    def __enter__(self) -> Self:
        self._checkpoints.restore(self._take)
        device = next(self.task.model.parameters()).device
        self._batches = _batches(self.task.examples, self.plan, self.progress.step, device)
        self._journal = self._open_journal(self.progress.step)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._journal.close()

    def tell(self) -> None:
        """Tell the listener where it stands."""
        self._listener(self.progress)

    def begin(self) -> Int[Tensor, "batch"]:
        """The examples of the next step, at whose learning rate the optimizer is then."""
        if self._lr is not None:
            for group in self.optimizer.param_groups:
                group["lr"] = self._lr(self.progress.step)
        return next(self._batches)

    def saw(self, measured: dict[str, Float[Tensor, ""]], count: int) -> None:
        """Take in what is to be reported of so many examples."""
        self._means.add(measured, count)

    def end(self, seconds: float) -> None:
        """Count the step, which took so long, and report, validate and save, if it is the time for it.

        Raises:
            Interrupted: If the run is to stop; the step is saved.
            NotFinite: If the loss is infinite or NaN.
        """
        progress, plan = self.progress, self.plan
        progress.step += 1
        progress.seconds += seconds
        step = progress.step
        log = step % plan.log_every == 0 or step == progress.steps
        validate = step % plan.steps_per_epoch(self.task.examples) == 0
        stopping = self._stop() and step < progress.steps
        checkpoint = step % plan.checkpoint_every == 0 or step == progress.steps or stopping
        if log or validate or checkpoint:
            # First of all, so that neither a validation nor a checkpoint meets weights that are lost.
            averages = self._means.read(step)
        if log:
            self._report("train", averages | self.task.settings(step - 1))
            self._means.clear()
        if validate:
            self._report("valid", self.task.validate())
        if checkpoint:
            self._save()
        self.tell()
        if stopping:
            raise Interrupted(step)

    def _take(self, saved: dict[str, Any]) -> None:
        self.task.model.load_state_dict(saved["model"])
        _restore(self.optimizer, saved["optimizer"])
        self.generator.set_state(saved["generator"])
        self._means.restore(saved["sums"], saved["count"])
        progress = self.progress
        if saved["step"] not in range(progress.steps + 1):
            raise ValueError(f"its step is {saved['step']} of {progress.steps}")
        progress.step, progress.seconds = saved["step"], float(saved["seconds"])
        progress.latest = dict(saved["latest"])

    def _save(self) -> None:
        self._journal.flush()
        progress = self.progress
        # Copies, because of a view all that it is a part of would be saved.
        state = {
            "step": progress.step,
            "seconds": progress.seconds,
            "latest": progress.latest,
            "sums": self._means.sums,
            "count": self._means.count,
            "model": {name: tensor.clone() for name, tensor in self.task.model.state_dict().items()},
            "optimizer": self.optimizer.state_dict(),
            "generator": self.generator.get_state(),
        }
        self._checkpoints.save(progress.step, state)

    def _report(self, kind: str, values: dict[str, float]) -> None:
        progress = self.progress
        self._journal.write(kind, progress.step, **values, seconds=round(progress.seconds, 3))
        progress.latest |= {f"{kind}/{name}": value for name, value in values.items()}


def fit(run: Run) -> Progress:
    """Train, from the newest checkpoint if there is one.

    Args:
        run: What to train, and how.

    Returns:
        The final progress.

    Raises:
        Interrupted: If the run was asked to stop.
        NotFinite: If the loss is infinite or NaN.
    """

    def loss(step: int) -> Tensor:
        rows = run.begin()
        value, measured = run.task.loss(rows, step, run.generator)
        run.saw(measured, len(rows))
        return value

    with run:
        run.tell()
        since = time.perf_counter()
        for _ in descend(loss, run.optimizer, range(run.progress.step, run.progress.steps)):
            now = time.perf_counter()
            run.end(now - since)
            since = now
    return run.progress


def _restore(optimizer: torch.optim.Optimizer, saved: dict[str, Any]) -> None:
    """Take up the state of an optimizer, whose shapes torch does not compare with those of the parameters."""
    optimizer.load_state_dict(saved)
    for parameter, state in optimizer.state.items():
        for name, value in state.items():
            if isinstance(value, Tensor) and value.dim() and value.shape != parameter.shape:
                raise ValueError(f"{name} has shape {tuple(value.shape)} for a parameter of {tuple(parameter.shape)}")


def _batches(examples: int, plan: Plan, step: int, device: torch.device) -> Iterator[Int[Tensor, "batch"]]:
    """The examples of every step from `step` on: the order of an epoch follows from the seed and its number alone."""
    per_epoch = plan.steps_per_epoch(examples)
    for epoch in range(step // per_epoch, plan.epochs):
        order = epoch_order(examples, plan.seed, epoch).to(device)
        done = max(0, step - epoch * per_epoch)
        yield from order.split(plan.batch_size)[done:]


def epoch_order(examples: int, seed: int, epoch: int) -> Int[Tensor, "examples"]:
    """The order of the examples in an epoch."""
    # An odd multiplier, so that the epochs of one seed never share the order of another small seed's.
    mixed = (seed * 0x9E3779B97F4A7C15 + epoch) % 2**63
    return torch.randperm(examples, generator=torch.Generator().manual_seed(mixed))


class _Means:
    """Means over examples since they were last cleared; sums stay on the device, so that no step waits for it."""

    def __init__(self) -> None:
        self.sums: dict[str, Tensor] = {}
        self.count = 0

    def restore(self, sums: dict[str, Tensor], count: int) -> None:
        self.sums, self.count = dict(sums), count

    def add(self, measured: dict[str, Tensor], count: int) -> None:
        for name, value in measured.items():
            total = value * count
            if name in self.sums:
                total += self.sums[name].to(total.device)
            self.sums[name] = total
        self.count += count

    def clear(self) -> None:
        self.sums, self.count = {}, 0

    def read(self, step: int) -> dict[str, float]:
        means = {name: float(total) / self.count for name, total in self.sums.items()}
        for name, value in means.items():
            if not math.isfinite(value):
                raise NotFinite(f"{name} is {value} by step {step}; lower the learning rate or raise the temperature")
        return means
