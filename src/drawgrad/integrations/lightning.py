"""Lightning: callbacks that set a temperature by a schedule, and watch the choices of a module."""

from __future__ import annotations

from typing import Any

from lightning.pytorch import Callback

from drawgrad.diagnostics import Monitor
from drawgrad.integrations._training import check_schedules, look, set_attribute
from drawgrad.schedules import Schedule

__all__ = ["LightningMonitor", "LightningTemperature"]


class LightningTemperature(Callback):
    """Sets attributes of a module by schedules before each training batch, such as the temperature of its samples.

    A schedule is a function of ``trainer.global_step``, which Lightning keeps in its checkpoints: a run that is resumed
    goes on with the temperature of its step, and nothing has to be stored. The values are logged under their names.

    Args:
        schedules: a schedule for each attribute, by its name in the LightningModule, ``{"tau": ...}``, or with dots
            for one of a submodule, ``{"encoder.tau": ...}``. The attribute is a number, a tensor, which is changed in
            place, or an estimator, whose temperature is set.
        log: whether to log the values.

    Raises:
        TypeError: if there is something else than schedules by name.
        AttributeError: in the first step, if the module has no such attribute.

    Example:
        >>> from drawgrad.schedules import exponential
        >>> callback = LightningTemperature({"tau": exponential(1.0, rate=1e-4, floor=0.5)})
    """

    def __init__(self, schedules: dict[str, Schedule], log: bool = True) -> None:
        check_schedules(schedules)
        self.schedules = schedules
        self.log = log

    def on_train_batch_start(self, trainer: Any, pl_module: Any, batch: Any, batch_idx: int) -> None:
        """Set the values of this step."""
        for name, schedule in self.schedules.items():
            value = schedule(trainer.global_step)
            set_attribute(pl_module, name, value)
            if self.log:
                pl_module.log(name, value, on_step=True, on_epoch=False, batch_size=1)


class LightningMonitor(Callback):
    """Watches a training for the pitfalls of discrete choices, with :class:`drawgrad.diagnostics.Monitor`.

    The module says what there is to see: its ``training_step`` sets ``self.choices``, to ``{"q": q, "tau": self.tau}``
    or with any others of the arguments ``q, z, tau, kl, name, variables`` of ``Monitor.observe``. The callback looks
    between loss and backward pass, so that the gradient is seen too, and takes away what was set.

    Args:
        monitor: the instrument; one with its defaults if None. Its figures are logged.

    Raises:
        TypeError: if it is no monitor; in a step, if ``choices`` is something else.

    Example:
        >>> callback = LightningMonitor(Monitor(every=100))
    """

    def __init__(self, monitor: Monitor | None = None) -> None:
        if monitor is not None and not isinstance(monitor, Monitor):
            raise TypeError(f"monitor must be a Monitor of drawgrad.diagnostics, but it is {monitor!r}; give Monitor()")
        self.monitor = Monitor() if monitor is None else monitor

    def on_before_backward(self, trainer: Any, pl_module: Any, loss: Any) -> None:
        """Look at the step."""
        look(self.monitor, pl_module, trainer.global_step, loss)

    def on_train_batch_end(self, trainer: Any, pl_module: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
        """Log the latest figures, those of the gradient included."""
        figures = {f"monitor/{name}": value for name, value in self.monitor.figures.items()}
        pl_module.log_dict(figures, on_step=True, on_epoch=False, batch_size=1)
