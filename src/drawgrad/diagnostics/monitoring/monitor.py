"""Watches a training run for the pitfalls of discrete choices, and says cause and cure."""

from __future__ import annotations

import math
import warnings
from collections import defaultdict
from typing import Any, Protocol

from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from drawgrad._checks import check_count, check_flag, check_temperature
from drawgrad._independent import innermost
from drawgrad.diagnostics.monitoring.figures import (
    choice_figures,
    gradient_figures,
    is_soft,
    kl_figures,
    sample_figures,
)
from drawgrad.diagnostics.monitoring.memory import Memory
from drawgrad.diagnostics.monitoring.pitfalls import PITFALLS
from drawgrad.variables import Distributions, Variable, variables_of

__all__ = ["Monitor", "PitfallWarning", "Writer"]


class PitfallWarning(UserWarning):
    """A training run shows the symptom of a known pitfall."""


class Writer(Protocol):
    """Where figures go: TensorBoard's ``SummaryWriter``, or anything with this method."""

    def add_scalar(self, tag: str, scalar_value: Any, global_step: int) -> None:
        """Record a number."""


class Monitor:
    """Watches a training run, and warns once of each pitfall it shows, with cause and cure.

    Call :meth:`observe` in every step between the loss and its backward pass, with whatever is at hand; most calls
    return at once. The pitfalls: numbers that are not finite, soft outputs in evaluation mode, gradients that explode
    as the temperature falls or come in spikes, a temperature too high, dead classes, collapse of the entropy or of the
    posterior, saturated logits.

    Several calls in one step are about different variables, or about the parts of a batch whose gradients are
    accumulated: each has a patience of its own, which counts steps. Variables with a name are also warned of, and their
    figures kept, each by itself.

    A gradient that is not finite counts only if it lasts: under ``torch.amp.GradScaler`` single ones are a matter of
    course, whose step is skipped, and else the logits of the next step are not finite either.

    Args:
        writer: gets the figures, as ``monitor/entropy`` and the like; None to keep them to the monitor.
        every: steps from one look to the next. Looking waits for the device.
        patience: looks in a row that must show what healthy runs pass through, such as a KL near zero.

    Attributes:
        figures: the latest ones, by name; those of a variable with a name as ``name/entropy``.
        warned: the step of each warning, by the pitfall's name, or ``name/pitfall``.

    Example:
        >>> import torch
        >>> from torch.distributions import OneHotCategorical
        >>> monitor = Monitor(every=1)
        >>> logits = torch.zeros(100, 20, 10, requires_grad=True)
        >>> q = OneHotCategorical(logits=logits)
        >>> loss = (q.logits * torch.randn(100, 20, 10)).sum()
        >>> monitor.observe(0, q, loss=loss, tau=1.0)
        >>> loss.backward()
        >>> sorted(monitor.figures)
        ['dead_classes', 'entropy', 'gradient', 'peak', 'perplexity', 'saturated', 'spread', 'tau']
        >>> round(monitor.figures["perplexity"], 3), monitor.warned
        (10.0, {})
    """

    def __init__(self, writer: Writer | None = None, *, every: int = 50, patience: int = 20) -> None:
        if writer is not None and not callable(getattr(writer, "add_scalar", None)):
            raise TypeError(
                f"writer must have a method add_scalar, but it is {writer!r}; give a SummaryWriter of "
                "torch.utils.tensorboard, or None"
            )
        check_count(every, "every", minimum=1)
        check_count(patience, "patience", minimum=1)
        self.writer = writer
        self.every = every
        self.patience = patience
        self.figures: dict[str, float] = {}
        self.warned: dict[str, int] = {}
        self._memories: defaultdict[str | int, Memory] = defaultdict(Memory)
        self._step: int | None = None
        self._unnamed = 0

    def observe(
        self,
        step: int,
        q: Distributions | None = None,
        *,
        loss: Tensor | None = None,
        z: Tensor | None = None,
        tau: float | Tensor | None = None,
        kl: Tensor | None = None,
        variables: int = 1,
        training: bool = True,
        name: str = "",
    ) -> None:
        """Look at a step, if it is the time for it.

        Args:
            step: counts the training steps; a look is taken if it is a multiple of ``every``. In evaluation mode every
                call looks, at ``z`` alone.
            q: the distribution of the choices, batch shape ``(*examples, *variables)``. The gradient for its logits,
                those of the first of several distributions, is seen in the backward pass, so call this before.
            loss: what is minimized.
            z: samples as the model uses them.
            tau: the temperature of relaxed samples; the mean if it is a tensor.
            kl: KL of posterior and prior in nats, shape ``(*examples, variables)``.
            variables: how many of the last batch dimensions of ``q`` are different variables, rather than examples.
            training: whether the model is in training mode.
            name: which variable this is, where a model has several.

        Raises:
            TypeError: if an argument is of a wrong type.
            ValueError: if a number breaks its rule.
        """
        check_count(step, "step")
        check_count(variables, "variables")
        check_flag(training, "training")
        for tensor, what in ((loss, "loss"), (z, "z"), (kl, "kl")):
            if tensor is not None and not isinstance(tensor, Tensor):
                raise TypeError(
                    f"{what} must be a tensor, but it is {tensor!r} ({type(tensor).__name__}); give it before .item()"
                )
        if tau is not None:
            check_temperature(tau, "leave it out where there is none")
        if not isinstance(name, str):
            raise TypeError(f"name must be a string, but it is {name!r} ({type(name).__name__}); give str({name!r})")
        variable = None if q is None else variables_of(q)
        if not training:
            if z is not None:
                self._look({"soft_in_evaluation": float(is_soft(z))}, step, name, self._memories[name])
            return
        if step % self.every:
            return
        memory = self._memory(step, name)
        figures: dict[str, float] = {}
        if tau is not None:
            figures["tau"] = float(tau.detach().mean()) if isinstance(tau, Tensor) else float(tau)
        if variable is not None:
            figures |= choice_figures(variable, variables, memory.usage)
            self._await_gradient(variable, figures.get("tau"), step, name, memory)
        if z is not None:
            figures |= sample_figures(z, variable)
        if kl is not None:
            figures |= kl_figures(kl)
        self._publish(figures, step, name)
        self._look(figures | {"not_finite": float(_is_broken(loss, variable))}, step, name, memory)

    def attach(self, module: nn.Module) -> RemovableHandle:
        """Look at whatever a module returns in evaluation mode: it should be hard.

        Args:
            module: one whose output is a sample, such as a sampling layer.

        Returns:
            A handle; its ``remove()`` detaches.

        Raises:
            TypeError: if it is no module.
        """
        if not isinstance(module, nn.Module):
            raise TypeError(f"module must be an nn.Module, but it is {module!r}; use observe() for other samples")

        def look(module: nn.Module, inputs: Any, output: Any) -> None:
            if not module.training and isinstance(output, Tensor):
                self._look({"soft_in_evaluation": float(is_soft(output))}, self._step or 0, "", self._memories[""])

        return module.register_forward_hook(look)

    def _memory(self, step: int, name: str) -> Memory:
        """That of the variable with this name, or of the one that was looked at in this place of the steps before."""
        if step != self._step:
            self._step, self._unnamed = step, 0
        if name:
            return self._memories[name]
        self._unnamed += 1
        return self._memories[self._unnamed]

    def _await_gradient(self, variable: Variable, tau: float | None, step: int, name: str, memory: Memory) -> None:
        """Look at the next gradient of the logits, once: they may be a parameter, which lives longer than a step."""
        part = variable.parts[0]
        if part.states is None or not part.learns:
            return
        # What q itself holds: of probabilities the variable makes logits of its own.
        name_of_logits, value = next(item for item in part.parameters.items() if item[1].requires_grad)
        logits: Tensor = getattr(innermost(part.q), name_of_logits, value)
        choices = len(part.batch_shape)
        memory.awaited = step

        def look(grad: Tensor) -> None:
            handle.remove()
            if memory.awaited == step:
                self._look_at_gradient(gradient_figures(grad, choices), tau, step, name, memory)

        handle = logits.register_hook(look)

    def _look_at_gradient(
        self, figures: dict[str, float], tau: float | None, step: int, name: str, memory: Memory
    ) -> None:
        broken = not math.isfinite(figures["gradient"])
        self._publish(figures, step, name)
        if tau is not None and not broken:
            figures = figures | {"tau": tau} | memory.growth(figures["peak"], figures["spread"], tau)
        self._look(figures | {"gradient_not_finite": float(broken)}, step, name, memory)

    def _publish(self, figures: dict[str, float], step: int, name: str) -> None:
        found = {_labeled(name, figure): value for figure, value in figures.items()}
        self.figures |= found
        if self.writer is not None:
            for label, value in found.items():
                self.writer.add_scalar(f"monitor/{label}", value, step)

    def _look(self, figures: dict[str, float], step: int, name: str, memory: Memory) -> None:
        for pitfall in PITFALLS:
            label = _labeled(name, pitfall.name)
            if label in self.warned or not figures.keys() >= set(pitfall.needs):
                continue
            steps = memory.steps_in_a_row(pitfall.name, pitfall.seen(figures), step)
            if steps >= (self.patience if pitfall.lasting else 1):
                self.warned[label] = step
                warnings.warn(pitfall.message(figures, step, name), PitfallWarning, stacklevel=3)


def _labeled(name: str, what: str) -> str:
    return f"{name}/{what}" if name else what


def _is_broken(loss: Tensor | None, variable: Variable | None) -> bool:
    """Whether the loss or the logits are not finite; a logit of minus infinity rules a class out."""
    broken = loss is not None and not bool(loss.detach().isfinite().all())
    if variable is not None and variable.states is not None:
        values = [value.detach() for value in variable.parameters.values()]
        broken |= any(bool((value.isnan() | (value == math.inf)).any()) for value in values)
    return broken
