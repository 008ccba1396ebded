"""Hugging Face: callbacks of the Trainer that set a temperature by a schedule, and watch the choices of a model."""

from __future__ import annotations

from typing import Any

from torch import nn
from torch.utils.hooks import RemovableHandle
from transformers import TrainerCallback

from drawgrad.diagnostics import Monitor
from drawgrad.integrations._training import check_schedules, look, set_attribute
from drawgrad.schedules import Schedule

__all__ = ["TrainerMonitor", "TrainerTemperature"]


class TrainerTemperature(TrainerCallback):
    """Sets attributes of a model by schedules before each step, such as the temperature of its samples.

    A schedule is a function of ``state.global_step``, which the Trainer keeps in its checkpoints: a run that is resumed
    goes on with the temperature of its step, and nothing has to be stored. The values are among what is logged.

    Args:
        schedules: a schedule for each attribute, by its name in the model, with dots for one of a submodule: for
            Wav2Vec2, ``{"quantizer.temperature": ...}``. The attribute is a number, a tensor, which is changed in
            place, or an estimator, whose temperature is set.

    Raises:
        TypeError: if there is something else than schedules by name.
        AttributeError: in the first step, if the model has no such attribute.

    Example:
        >>> from drawgrad.schedules import exponential
        >>> callback = TrainerTemperature({"quantizer.temperature": exponential(2.0, rate=5e-6, floor=0.5)})
    """

    def __init__(self, schedules: dict[str, Schedule]) -> None:
        check_schedules(schedules)
        self.schedules = schedules
        self.values: dict[str, float] = {}

    def on_step_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Set the values of this step."""
        for name, schedule in self.schedules.items():
            self.values[name] = schedule(state.global_step)
            set_attribute(kwargs["model"], name, self.values[name])

    def on_log(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Add the values to what is logged."""
        _add(self.values, state, kwargs)


class TrainerMonitor(TrainerCallback):
    """Watches a training for the pitfalls of discrete choices, with :class:`drawgrad.diagnostics.Monitor`.

    The model says what there is to see: its ``forward`` sets ``self.choices``, to ``{"q": q, "tau": self.tau}`` or with
    any others of the arguments ``q, z, tau, kl, name, variables`` of ``Monitor.observe``. The callback looks right
    after ``forward``, by a hook that it takes off at the end of the training, and takes away what was set.

    Args:
        monitor: the instrument; one with its defaults if None. Its figures are among what is logged.

    Raises:
        TypeError: if it is no monitor; in a step, if ``choices`` is something else.

    Example:
        >>> callback = TrainerMonitor(Monitor(every=100))
    """

    def __init__(self, monitor: Monitor | None = None) -> None:
        if monitor is not None and not isinstance(monitor, Monitor):
            raise TypeError(f"monitor must be a Monitor of drawgrad.diagnostics, but it is {monitor!r}; give Monitor()")
        self.monitor = Monitor() if monitor is None else monitor
        self._handle: RemovableHandle | None = None

    def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Begin to look."""

        def after_forward(module: nn.Module, inputs: Any, output: Any) -> None:
            if module.training:
                loss = output.get("loss") if isinstance(output, dict) else None
                look(self.monitor, module, state.global_step, loss)

        self._handle = kwargs["model"].register_forward_hook(after_forward)

    def on_log(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Add the latest figures to what is logged."""
        _add({f"monitor/{name}": value for name, value in self.monitor.figures.items()}, state, kwargs)

    def on_train_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Look no longer."""
        if self._handle is not None:
            self._handle.remove()
            self._handle = None


def _add(values: dict[str, float], state: Any, kwargs: dict[str, Any]) -> None:
    """Add values to the entry of the Trainer's log that is being written, for those who read it later and those now."""
    kwargs.get("logs", {}).update(values)
    if state.log_history:
        state.log_history[-1].update(values)
