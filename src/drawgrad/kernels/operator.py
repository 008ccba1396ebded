"""What makes a twin a torch operator: devices, fake tensors, derivatives, and torch's function transforms."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import Any

import torch
from torch import Tensor
from torch.library import custom_op

__all__ = ["Operator"]

TWINS = {"cpu": "drawgrad.kernels.cpu"}
"""Device type -> module of its twin, imported by the first call. The reference serves every other device."""


class Operator:
    """A function of the reference twin, registered as ``torch.ops.drawgrad.<its name>``.

    Args:
        reference: the function; its name and annotations become the operator's schema.
        fake: the output's shape and dtype as an empty tensor, from the same arguments.
        tau_at: position of the temperature among the arguments; None if there is none.
    """

    def __init__(
        self, reference: Callable[..., Tensor], fake: Callable[..., Tensor], tau_at: int | None = None
    ) -> None:
        name = reference.__name__
        self._definition = custom_op(f"drawgrad::{name}", reference, mutates_args=())
        for device, module in TWINS.items():
            self._definition.register_kernel(device)(_twin(module, name))
        self._definition.register_fake(fake)
        self._vmap = _vmap_rule(self, tau_at)
        self._definition.register_vmap(self._vmap)
        self._call = getattr(torch.ops.drawgrad, name).default
        self._transformable: Any = None

    def differentiate(self, keep: Callable[..., None], backward: Callable[..., Any]) -> None:
        """Give the operator its derivative: ``keep(ctx, inputs, output)`` in forward, ``backward(ctx, grad)``."""
        self._definition.register_autograd(backward, setup_context=keep)
        # torch.func cannot see the derivative of a registered operator, only that of an autograd.Function.
        rules = {"forward": self._call, "setup_context": keep, "backward": backward, "vmap": self._vmap}
        members = {rule: staticmethod(function) for rule, function in rules.items()}
        self._transformable = type(self._call.__name__, (torch.autograd.Function,), members)

    def __call__(self, *args: Any) -> Tensor:
        """Call the operator, differentiably in eager code, in compiled code and under torch.func alike."""
        if self._transformable is not None and torch._C._are_functorch_transforms_active():
            return self._transformable.apply(*args)
        return self._call(*args)


def _twin(module: str, name: str) -> Callable[..., Tensor]:
    def twin(*args: Any) -> Tensor:
        return getattr(import_module(module), name)(*args)

    return twin


def _vmap_rule(operator: Callable[..., Tensor], tau_at: int | None) -> Callable[..., tuple[Tensor, int]]:
    """The mapped examples become groups, each with its own seed and its own count of rows.

    So a mapped call draws what a loop over the examples would draw.
    """

    def rule(info: Any, in_dims: tuple[int | None, ...], *args: Any) -> tuple[Tensor, int]:
        mapped: list[Any] = []
        for position, (argument, dim) in enumerate(zip(args, in_dims, strict=True)):
            if not isinstance(argument, Tensor):
                mapped.append(argument)
            elif position == tau_at and argument.dim() == (0 if dim is None else 1):
                mapped.append(argument if dim is None else _temperature_of_rows(argument, mapped[0]))
            else:
                whole = argument.expand(info.batch_size, *argument.shape) if dim is None else argument.movedim(dim, 0)
                mapped.append(whole.flatten(0, 1))
        return operator(*mapped).unflatten(0, (info.batch_size, -1)), 0

    return rule


def _temperature_of_rows(tau: Tensor, like: Tensor) -> Tensor:
    """One temperature an example as one a row, shape ``(examples * groups, rows, 1)``."""
    groups, rows, _ = like.shape
    return tau.repeat_interleave(groups // tau.shape[0])[:, None, None].expand(groups, rows, 1)
