"""The temperature of a module: a buffer that the caller sets from a schedule, or a parameter that is learned."""

from __future__ import annotations

import torch
from torch import nn

from drawgrad._checks import check_flag, check_temperature
from drawgrad._typing import Float, Tensor

__all__ = ["Tempered", "set_temperature"]

CURE = "take it from a schedule that ends above zero"


class Tempered(nn.Module):
    """A module with a temperature, which its ``state_dict`` holds.

    Args:
        tau: the temperature to begin with, a positive number; None if the module has none.
        learned: whether it is a parameter, ``log_tau``, in place of the buffer ``tau``.
        device: where it lives.
        dtype: its floating dtype.

    Raises:
        ValueError: if ``tau`` is not positive and finite, or is None and to be learned.
        TypeError: if it is no number.

    Example:
        >>> module = Tempered(0.5)
        >>> module.tau
        tensor(0.5000)
        >>> set_temperature(module, 0.25)
        >>> module.temperature
        tensor(0.2500)
    """

    tau: Tensor | None
    log_tau: nn.Parameter | None

    def __init__(
        self,
        tau: float | None = 1.0,
        *,
        learned: bool = False,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__()
        check_flag(learned, "learned")
        if tau is None and learned:
            raise ValueError("tau must be a number to be learned, but it is None; choose what has a temperature")
        if tau is not None:
            check_temperature(tau, CURE, dtype=dtype or torch.get_default_dtype())
        self.initial_tau = None if tau is None else float(tau)
        made = None if tau is None else torch.empty((), device=device, dtype=dtype)
        self.register_buffer("tau", None if learned else made)
        self.register_parameter("log_tau", nn.Parameter(made) if learned and made is not None else None)
        Tempered.reset_parameters(self)

    @property
    def temperature(self) -> Float[Tensor, ""] | None:
        """The temperature, differentiable where it is learned; None if there is none."""
        if self.log_tau is not None:
            return self.log_tau.exp()
        # A copy, for it may be set anew between a forward pass and its backward pass.
        return None if self.tau is None else self.tau.clone()

    @torch.no_grad()
    def set_temperature(self, value: float) -> None:
        """Set the temperature, also one that is learned.

        Raises:
            ValueError: if the module has none, or if ``value`` is not positive and finite.
        """
        held = self.tau if self.log_tau is None else self.log_tau
        if held is None:
            raise ValueError(f"{type(self).__name__} has no temperature to set; look at its temperature, which is None")
        check_temperature(value, CURE, "value", held.dtype)
        found = torch.as_tensor(value, device=held.device)
        held.copy_(found if self.log_tau is None else found.log())

    def reset_parameters(self) -> None:
        """The temperature that it began with."""
        if self.initial_tau is not None:
            Tempered.set_temperature(self, self.initial_tau)


def set_temperature(model: nn.Module, value: float) -> None:
    """Set the temperature of every module inside that has one.

    Args:
        model: any module.
        value: a positive number, such as a schedule of :mod:`drawgrad.schedules` gives for a step.

    Raises:
        ValueError: if nothing inside has a temperature, or if ``value`` is not positive and finite.

    Example:
        >>> from drawgrad.nn import Choice
        >>> from drawgrad.schedules import exponential
        >>> model = nn.Sequential(nn.Linear(4, 3), Choice(), nn.Linear(3, 2), Choice())
        >>> set_temperature(model, exponential(1.0, rate=1e-3, floor=0.1)(1000))
        >>> [round(float(model[place].tau), 3) for place in (1, 3)]
        [0.368, 0.368]
    """
    found = [module for module in model.modules() if isinstance(module, Tempered) and module.temperature is not None]
    if not found:
        raise ValueError(
            f"model must hold a module with a temperature, but {type(model).__name__} has none inside; leave the call "
            "out, or give its choices an estimator that has one"
        )
    for module in found:
        module.set_temperature(value)
