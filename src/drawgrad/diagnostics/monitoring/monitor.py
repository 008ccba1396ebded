"""Watches a training run for the pitfalls of discrete choices, and says cause and cure."""

from __future__ import annotations

import math
import statistics
import warnings
from collections import Counter, deque
from typing import Any, Protocol

import torch
from torch import Tensor, nn
from torch.distributions import Distribution
from torch.utils.hooks import RemovableHandle

from drawgrad._checks import check_count, check_distribution
from drawgrad.diagnostics.monitoring.figures import (
    choice_figures,
    gradient_figures,
    is_soft,
    kl_figures,
    logits_of,
    sample_figures,
)
from drawgrad.diagnostics.monitoring.pitfalls import PITFALLS

__all__ = ["Monitor", "PitfallWarning", "Writer"]

WINDOW = 5
"""Looks whose median is compared, so that one spike is no explosion."""


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

    Args:
        writer: gets the figures, as ``monitor/entropy`` and the like; None to keep them to the monitor.
        every: steps from one look to the next. Looking waits for the device.
        patience: looks in a row that must show what healthy runs pass through, such as a KL near zero.

    Attributes:
        figures: the latest ones, by name.
        warned: the step of each warning, by the pitfall's name.

    Example:
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
        check_count(every, "every", minimum=1)
        check_count(patience, "patience", minimum=1)
        self.writer = writer
        self.every = every
        self.patience = patience
        self.figures: dict[str, float] = {}
        self.warned: dict[str, int] = {}
        self._in_a_row: Counter[str] = Counter()
        self._recent: deque[tuple[float, float, float]] = deque(maxlen=WINDOW)
        self._first: list[float] | None = None
        self._step = 0
        self._awaited = 0

    def observe(
        self,
        step: int,
        q: Distribution | None = None,
        *,
        loss: Tensor | None = None,
        z: Tensor | None = None,
        tau: float | Tensor | None = None,
        kl: Tensor | None = None,
        variables: int = 1,
        training: bool = True,
    ) -> None:
        """Look at a step, if it is the time for it.

        Args:
            step: counts the training steps; a look is taken if it is a multiple of ``every``. In evaluation mode every
                call looks, at ``z`` alone.
            q: the distribution of the choices, batch shape ``(*examples, *variables)``. The gradient for its logits is
                seen in the backward pass, so call this before.
            loss: what is minimised.
            z: samples as the model uses them.
            tau: the temperature of relaxed samples; the mean if it is a tensor.
            kl: KL of posterior and prior in nats, shape ``(*examples, variables)``.
            variables: how many of the last batch dimensions of ``q`` are different variables, rather than examples.
            training: whether the model is in training mode.
        """
        if not training:
            if z is not None:
                self._look({"soft_in_evaluation": float(is_soft(z))}, step)
            return
        if step % self.every:
            return
        if q is not None:
            check_distribution(q)
        if loss is not None and not isinstance(loss, Tensor):
            raise TypeError(
                f"loss must be a tensor, but it is {loss!r} ({type(loss).__name__}); give it before .item()"
            )
        figures: dict[str, float] = {}
        broken = loss is not None and not bool(loss.detach().isfinite().all())
        if tau is not None:
            figures["tau"] = float(tau.detach().mean()) if isinstance(tau, Tensor) else float(tau)
        if q is not None:
            figures |= choice_figures(q, max(0, min(variables, len(q.batch_shape) - 1)))
        if q is not None and (logits := logits_of(q)) is not None:
            # Minus infinity rules a class out.
            broken |= bool((logits.detach().isnan() | (logits.detach() == math.inf)).any())
            if logits.requires_grad and torch.is_grad_enabled():
                self._await_gradient(logits, q, figures.get("tau"), step)
        if z is not None:
            figures |= sample_figures(z, q)
        if kl is not None:
            figures |= kl_figures(kl)
        self._publish(figures, step)
        self._look(figures | {"not_finite": float(broken)}, step)

    def attach(self, module: nn.Module) -> RemovableHandle:
        """Look at whatever a module returns in evaluation mode: it should be hard.

        Args:
            module: one whose output is a sample, such as a sampling layer.

        Returns:
            A handle; its ``remove()`` detaches.
        """

        def look(module: nn.Module, inputs: Any, output: Any) -> None:
            if not module.training and isinstance(output, Tensor):
                self._look({"soft_in_evaluation": float(is_soft(output))}, self._step)

        return module.register_forward_hook(look)

    def _await_gradient(self, logits: Tensor, q: Distribution, tau: float | None, step: int) -> None:
        """Look at the next gradient of the logits, once: they may be a parameter, which lives longer than a step."""
        self._awaited = step

        def look(grad: Tensor) -> None:
            handle.remove()
            if self._awaited == step:
                self._look_at_gradient(gradient_figures(grad, q), tau, step)

        handle = logits.register_hook(look)

    def _look_at_gradient(self, figures: dict[str, float], tau: float | None, step: int) -> None:
        broken = not math.isfinite(figures["gradient"])
        self._publish(figures, step)
        if tau is not None and not broken:
            figures = figures | {"tau": tau} | self._growth(figures["peak"], figures["spread"], tau)
        self._look(figures | {"not_finite": float(broken)}, step)

    def _growth(self, peak: float, spread: float, tau: float) -> dict[str, float]:
        """How the gradient compares with that of the first looks; empty while these are being taken."""
        self._recent.append((peak, spread, tau))
        if len(self._recent) < WINDOW:
            return {}
        now = [statistics.median(values) for values in zip(*self._recent, strict=True)]
        self._first = self._first or now
        if not all(value > 0 for value in (*self._first, *now)):
            return {}
        return {
            "peak_growth": now[0] / self._first[0],
            "spread_fall": self._first[1] / now[1],
            "tau_fall": self._first[2] / now[2],
        }

    def _publish(self, figures: dict[str, float], step: int) -> None:
        self._step = step
        self.figures |= figures
        if self.writer is not None:
            for name, value in figures.items():
                self.writer.add_scalar(f"monitor/{name}", value, step)

    def _look(self, figures: dict[str, float], step: int) -> None:
        for pitfall in PITFALLS:
            if pitfall.name in self.warned or not figures.keys() >= set(pitfall.needs):
                continue
            self._in_a_row[pitfall.name] = self._in_a_row[pitfall.name] + 1 if pitfall.seen(figures) else 0
            if self._in_a_row[pitfall.name] >= (self.patience if pitfall.lasting else 1):
                self.warned[pitfall.name] = step
                warnings.warn(pitfall.message(figures, step), PitfallWarning, stacklevel=3)
