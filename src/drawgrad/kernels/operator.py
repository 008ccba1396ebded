"""What makes a twin a torch operator: devices, fake tensors, derivatives, and torch's function transforms."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from importlib import import_module
from typing import Any

import torch
from torch import Tensor
from torch.autograd import forward_ad

__all__ = ["Operator"]

TWINS = {"cpu": "drawgrad.kernels.cpu", "cuda": "drawgrad.kernels.gpu"}
"""Device type -> module of its twin, imported by the first call. The reference serves every other device."""


LIBRARY = torch.library.Library("drawgrad", "FRAGMENT")


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
        LIBRARY.define(name + torch.library.infer_schema(reference, mutates_args=()))
        LIBRARY.impl(name, reference, "CompositeExplicitAutograd")
        for device, module in TWINS.items():
            LIBRARY.impl(name, _twin(module, name), device.upper())
        torch.library.register_fake(f"drawgrad::{name}", fake, lib=LIBRARY)
        self._vmap = _vmap_rule(self, tau_at)
        torch.library.register_vmap(f"drawgrad::{name}", self._vmap, lib=LIBRARY)
        self._call = getattr(torch.ops.drawgrad, name).default
        self._transformable: Any = None

    def differentiate(self, keep: Callable[..., None], backward: Callable[..., Any]) -> None:
        """Give the operator its derivative: ``keep(ctx, inputs, output)`` in forward, ``backward(ctx, grad)``."""
        name = self._call._schema.name.removeprefix("drawgrad::")
        LIBRARY.impl(name, _autograd_kernel(self._call, keep, backward), "Autograd", with_keyset=True)
        # torch.func sees no derivative below the dispatcher, only that of an autograd.Function which it meets itself.
        rules = {"forward": self._call, "setup_context": keep, "backward": backward, "vmap": self._vmap}
        members = {rule: staticmethod(function) for rule, function in rules.items()}
        self._transformable = type(name, (torch.autograd.Function,), members)

    def __call__(self, *args: Any) -> Tensor:
        """Call the operator, differentiably in eager code, in compiled code and under torch.func alike."""
        if self._transformable is not None and torch._C._are_functorch_transforms_active():
            return self._transformable.apply(*args)
        return self._call(*args)


def _autograd_kernel(call: Any, keep: Callable[..., None], backward: Callable[..., Any]) -> Callable[..., Tensor]:
    """What the dispatcher calls when a gradient may be wanted.

    ``torch.library.register_autograd`` would do the same, at twice the overhead of a small call.
    """

    def below(keyset: Any, args: tuple[Any, ...]) -> Tensor:
        with torch._C._AutoDispatchBelowAutograd():
            return call.redispatch(keyset & torch._C._after_autograd_keyset, *args)

    class Node(torch.autograd.Function):
        @staticmethod
        def forward(ctx: Any, keyset: Any, *args: Any) -> Tensor:
            output = below(keyset, args)
            keep(ctx, args, output)
            return output

        @staticmethod
        def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
            return (None, *backward(ctx, grad))

    def kernel(keyset: Any, *args: Any) -> Tensor:
        # Node refuses forward-mode derivatives; below it they would be lost in silence.
        if torch.is_grad_enabled() and (forward_ad._current_level >= 0 or torch._C._any_requires_grad(*args)):
            return Node.apply(keyset, *args)
        return below(keyset, args)

    return kernel


def _twin(module: str, name: str) -> Callable[..., Tensor]:
    @cache
    def function() -> Callable[..., Tensor]:
        return getattr(import_module(module), name)

    return lambda *args: function()(*args)


def _vmap_rule(operator: Callable[..., Tensor], tau_at: int | None) -> Callable[..., tuple[Tensor, int]]:
    """The mapped examples become groups, each with its own seed and its own count of rows.

    So a mapped call draws what a loop over the examples would draw.
    """

    def rule(info: Any, in_dims: tuple[int | None, ...], *args: Any) -> tuple[Tensor, int]:
        # The first argument is of groups in every operator.
        groups = next(size for dim, size in enumerate(args[0].shape) if dim != in_dims[0])
        mapped: list[Any] = []
        for position, (argument, dim) in enumerate(zip(args, in_dims, strict=True)):
            if not isinstance(argument, Tensor):
                mapped.append(argument)
            elif position == tau_at and argument.dim() == (0 if dim is None else 1):
                mapped.append(argument if dim is None else _temperature_of_rows(argument, groups, mapped[0].shape[1]))
            else:
                whole = argument.expand(info.batch_size, *argument.shape) if dim is None else argument.movedim(dim, 0)
                mapped.append(whole.flatten(0, 1))
        return operator(*mapped).unflatten(0, (info.batch_size, groups)), 0

    return rule


def _temperature_of_rows(tau: Tensor, groups: int, rows: int) -> Tensor:
    """One temperature an example as one a row, shape ``(examples * groups, rows, 1)``."""
    return tau.repeat_interleave(groups)[:, None, None].expand(-1, rows, 1)
