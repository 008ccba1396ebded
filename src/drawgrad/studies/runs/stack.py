"""Several runs of one recipe as one program: a step of all of them is one forward and one backward pass.

Only the gradient is found for all at once. Each run keeps its model, its optimizer, its generator, its checkpoints and
its journal, as if it were alone, so that it may leave the others and come back to them at any step.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator, Sequence
from typing import Any, Protocol

import torch
from torch import nn
from torch.func import functional_call, grad, vmap

from drawgrad._typing import Float, Int, Tensor
from drawgrad.studies.runs.loop import Run, Task
from drawgrad.studies.runs.seeds import seeds_of_each

__all__ = ["StackableTask", "fit_together"]


class StackableTask(Task, Protocol):
    """A task whose loss is in two parts: what is drawn by torch's own samplers, and a function of that and of seeds.

    It may differ from the others of its stack in the state of its model alone.
    """

    def batch(self, rows: Int[Tensor, "batch"], generator: torch.Generator) -> Tensor:
        """The examples `rows`, as the model sees them."""

    def objective(
        self, x: Tensor, step: int, seeds: Iterator[Int[Tensor, ""]]
    ) -> tuple[Float[Tensor, ""], dict[str, Float[Tensor, ""]]]:
        """The loss on a batch at a step, and what to report of it: nothing that :func:`torch.func.vmap` cannot map."""


def fit_together(runs: Sequence[Run]) -> list[Exception | None]:
    """Train several runs, each from its newest checkpoint; those that are at the same step take it as one program.

    Data order, noise and weights of a run are its own, so that it ends as it does in any other stack: bit for bit where
    torch rounds what belongs to a run alike in a tensor of any number of them, and to rounding elsewhere. It is to
    rounding that it ends as in the usual loop: products of several matrices add in another order than those of one.

    Args:
        runs: Of :class:`StackableTask`, with plans, objectives and models that are alike.

    Returns:
        For each run why it could not go on, while the others did; None for one that is finished.
    """
    failures: dict[Run, Exception] = {}

    @contextlib.contextmanager
    def apart(run: Run) -> Iterator[None]:
        """What fails here is the matter of one run."""
        try:
            yield
        except Exception as error:
            failures[run] = error

    with contextlib.ExitStack() as opened:
        for run in runs:
            with apart(run):
                opened.enter_context(run)
                run.tell()
        program = None
        since = time.perf_counter()
        while together := _hindmost([run for run in runs if run not in failures]):
            if program is None or program.runs != together:
                program = _Program(together)
            program.step()
            now = time.perf_counter()
            for run in together:
                with apart(run):
                    run.end((now - since) / len(together))
            since = now
    return [failures.get(run) for run in runs]


def _hindmost(runs: Sequence[Run]) -> list[Run]:
    """Those of the runs with a step to take that have taken the fewest: they catch up with the others first."""
    going = [run for run in runs if run.progress.step < run.progress.steps]
    least = min((run.progress.step for run in going), default=0)
    return [run for run in going if run.progress.step == least]


class _Program:
    """Takes steps of runs that are at the same one.

    Parameters and buffers of all runs lie in tensors with a leading run axis, of which those of their models are views.

    Args:
        runs: The runs.
    """

    def __init__(self, runs: list[Run]) -> None:
        self.runs = runs
        self.tasks: list[Any] = [run.task for run in runs]
        models = [task.model for task in self.tasks]
        self._loss = _Loss(self.tasks[0])
        self._parameters = [dict(model.named_parameters(prefix="model")) for model in models]
        whole = {name: _stacked([each[name] for each in self._parameters]) for name in self._parameters[0]}
        self._learned = {name: whole[name] for name, each in self._parameters[0].items() if each.requires_grad}
        self._fixed = {name: tensor for name, tensor in whole.items() if name not in self._learned}
        buffers = [dict(model.named_buffers(prefix="model")) for model in models]
        self._buffers = {name: _stacked([each[name] for each in buffers]) for name in buffers[0]}
        self._numbers = torch.arange(len(runs), device=next(iter(whole.values())).device)

    def step(self) -> None:
        """Take a step of all runs, but for its :meth:`~drawgrad.studies.runs.loop.Run.end`."""
        rows = [run.begin() for run in self.runs]
        generators, step = [run.generator for run in self.runs], self.runs[0].progress.step
        x = torch.stack([run.batch(*of) for run, *of in zip(self.tasks, rows, generators, strict=True)])

        def objective(
            learned: dict[str, Tensor], fixed: dict[str, Tensor], buffers: dict[str, Tensor], x: Tensor, number: Tensor
        ) -> tuple[Tensor, tuple[dict[str, Tensor], dict[str, Tensor]]]:
            # Copies, as what remembers writes into its own, and a transform allows that for its own tensors only.
            own = {name: buffer.clone() for name, buffer in buffers.items()}
            seeds = seeds_of_each(generators, number)
            loss, measured, left = functional_call(self._loss, (learned, fixed, own), (x, step, seeds))
            return loss, (measured, left)

        # "same" is for the generators of the runs, each of which draws once for all that is mapped.
        gradient = vmap(grad(objective, has_aux=True), randomness="same")
        slopes, (measured, buffers) = gradient(self._learned, self._fixed, self._buffers, x, self._numbers)
        for name, buffer in buffers.items():
            self._buffers[name].copy_(buffer)
        for number, run in enumerate(self.runs):
            for name, slope in slopes.items():
                self._parameters[number][name].grad = slope[number]
            run.optimizer.step()
            run.saw({name: values[number] for name, values in measured.items()}, len(rows[number]))


class _Loss(nn.Module):
    """The objective of a task as the call of a module, whose parameters `functional_call` exchanges."""

    def __init__(self, task: StackableTask) -> None:
        super().__init__()
        self.model = task.model
        self._task = task

    def forward(
        self, x: Tensor, step: int, seeds: Iterator[Tensor]
    ) -> tuple[Tensor, dict[str, Tensor], dict[str, Tensor]]:
        """The loss, what is to be reported, and the buffers as they are afterwards, written to or replaced."""
        loss, measured = self._task.objective(x, step, seeds)
        return loss, measured, dict(self.named_buffers())


def _stacked(tensors: Sequence[Tensor]) -> Tensor:
    """Tensors of one shape as one, of which each becomes a view."""
    whole = torch.stack([tensor.detach() for tensor in tensors])
    for tensor, part in zip(tensors, whole, strict=True):
        tensor.data = part
    return whole
