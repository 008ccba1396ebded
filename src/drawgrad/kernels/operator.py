"""An operation and all ways of running it: which twin computes, and how torch's machinery sees it.

A call goes straight to the twin of its device when its tensors are plain ones and nobody watches. Under a compiler,
torch.func, a mode or a subclass of tensors it goes through torch's dispatcher, where the same operation is registered;
under an exporter it becomes torch's own operations, those of the reference.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import Any

import torch
from torch import Tensor

from drawgrad.kernels.reference import compute_dtype
from drawgrad.kernels.sharded import is_sharded, run_on_parts
from drawgrad.kernels.state import (
    below_autograd,
    eager_apply,
    home_of,
    is_transformed,
    wants_derivative,
    wants_torch_operations,
)

__all__ = ["TWINS", "Operator", "seed_tensor", "tau_tensor"]

TWINS = {"cpu": "drawgrad.kernels.cpu", "cuda": "drawgrad.kernels.gpu"}
"""Device type -> module of its twin, imported by the first call. The reference serves every other device."""

LIBRARY = torch.library.Library("drawgrad", "FRAGMENT")


class Operator:
    """A function of the reference twin, registered as ``torch.ops.drawgrad.<its name>``.

    Args:
        reference: the function; its name and annotations become the operator's schema.
        fake: the output's shape and dtype as an empty tensor, or several of them, from the same arguments.
        like: position of the argument whose dtype the output has, a tensor or the dtype itself.
        tau: position of the temperature, None if there is none. A number is as good as a tensor to :meth:`__call__`.
        seed: position of the seed, likewise.
    """

    def __init__(
        self,
        reference: Callable[..., Any],
        fake: Callable[..., Any],
        *,
        like: int,
        tau: int | None = None,
        seed: int | None = None,
    ) -> None:
        self.name = reference.__name__
        self._reference = self._in_torch_operations = reference
        self._like, self._tau, self._seed = like, tau, seed
        self._twins = _Twins(self._twin)
        LIBRARY.define(self.name + torch.library.infer_schema(reference, mutates_args=()))
        LIBRARY.impl(self.name, reference, "CompositeExplicitAutograd")
        for device in TWINS:
            LIBRARY.impl(self.name, self._run, device.upper())
        torch.library.register_fake(f"drawgrad::{self.name}", fake, lib=LIBRARY)
        torch.library.register_vmap(f"drawgrad::{self.name}", self._map, lib=LIBRARY)
        self._dispatched = getattr(torch.ops.drawgrad, self.name).default
        self._recorded: Any = None
        self._function: Any = None

    def differentiate(
        self,
        keep: Callable[..., None],
        backward: Callable[..., Any],
        jvp: Callable[..., Any],
        in_torch_operations: Callable[..., Tensor] | None = None,
    ) -> None:
        """Give the operator its derivatives.

        Args:
            keep: ``keep(ctx, inputs, output)``, called in forward.
            backward: ``backward(ctx, grad)``, a gradient for each input.
            jvp: ``jvp(ctx, *tangents)``, the tangent of the output.
            in_torch_operations: the reference with the same derivative by torch's own rules, if it has another one.
        """

        def forward(ctx: Any, *args: Any) -> Tensor:
            output = self._run(*args)
            keep(ctx, args, output)
            return output

        both: dict[str, Callable[..., Any]] = {"backward": backward, "jvp": jvp}
        self._recorded = eager_apply(_function(self.name, {"forward": forward, **both}))
        # What torch.func takes. In eager code it is the slower one: torch looks at its signature at each call.
        self._function = _function(
            self.name, {"forward": self.__call__, "setup_context": keep, "vmap": self._map, **both}
        )
        self._in_torch_operations = in_torch_operations or self._reference
        LIBRARY.impl(self.name, self._with_derivative, "Autograd", with_keyset=True)

    def __call__(self, *args: Any) -> Any:
        """Call the operation, differentiably in eager code, in compiled code and under torch.func alike."""
        home = home_of(*args)
        if home is not None:
            return self.at_hand(home, *args)
        args = self._with_tensors(args)
        if wants_torch_operations():
            return self._in_torch_operations(*args)
        if is_sharded(*args):
            return run_on_parts(self, args, like=self._like, tau=self._tau, seed=self._seed)
        if self._function is not None and is_transformed():
            return self._function.apply(*args)
        return self._dispatched(*args)

    def at_hand(self, home: str, *args: Any) -> Any:
        """:meth:`__call__`, of tensors that are nothing but memory of a device, while nobody watches."""
        if self._recorded is not None and wants_derivative(*args):
            return self._recorded(*args)
        like = args[self._like]
        return self._twins[home, like if type(like) is torch.dtype else like.dtype](*args)

    def _with_derivative(self, keyset: Any, *args: Any) -> Tensor:
        """What the dispatcher calls; ``torch.library.register_autograd`` would take twice the time of a small call."""
        if wants_derivative(*args):
            return self._function.apply(*args)  # Comes here again, where no derivative is wanted.
        return below_autograd(self._dispatched, keyset, args)

    def _run(self, *args: Any) -> Any:
        """Compute, by the twin of the device or by the reference."""
        like = args[self._like]
        return self._twins[_device_of(args), like if type(like) is torch.dtype else like.dtype](*args)

    def _twin(self, device: str, dtype: torch.dtype) -> Callable[..., Any]:
        """What computes the operation on a device."""
        if compute_dtype(dtype) == torch.float64:
            return lambda *args: self._reference(*self._with_tensors(args))
        twin: Callable[..., Any] = getattr(import_module(TWINS[device]), self.name)
        return twin

    def _with_tensors(self, args: tuple[Any, ...]) -> tuple[Any, ...]:
        """The arguments with temperature and seed as tensors."""
        given = list(args)
        if self._tau is not None:
            like = args[self._like]
            given[self._tau] = tau_tensor(args[self._tau], like.dtype, like.device)
        if self._seed is not None:
            given[self._seed] = seed_tensor(args[self._seed], _device_of(args))
        return tuple(given)

    def _map(self, info: Any, in_dims: tuple[int | None, ...], *args: Any) -> tuple[Any, Any]:
        """The rule of vmap: the mapped examples become groups, each with its own seed and its own count of rows.

        So a mapped call draws what a loop over the examples would draw.
        """
        mapped = list(args)
        groups: tuple[int, ...] = ()
        if self._seed is not None:
            seeds = _in_front(args[self._seed], in_dims[self._seed], info.batch_size)
            groups = tuple(seeds.shape[1:])
            mapped[self._seed] = seeds.flatten()
        rank = 0
        for at, (argument, dim) in enumerate(zip(args, in_dims, strict=True)):
            if isinstance(argument, Tensor) and at not in (self._tau, self._seed):
                whole = _in_front(argument, dim, info.batch_size)
                rank = whole.dim()
                mapped[at] = whole.flatten(0, 1) if groups else whole
        if self._tau is not None and (in_dims[self._tau] is not None or args[self._tau].dim()):
            tau = _in_front(args[self._tau], in_dims[self._tau], info.batch_size)
            tau = tau.reshape(tau.shape[0], *(1,) * (rank - tau.dim()), *tau.shape[1:])
            mapped[self._tau] = tau.expand(-1, *groups, *tau.shape[2:]).flatten(0, 1) if groups else tau
        output = self(*mapped)
        if groups:
            output = _of_each(lambda one: one.unflatten(0, (info.batch_size, *groups)), output)
        return output, _of_each(lambda one: 0, output)


class _Twins(dict[tuple[str, torch.dtype], Callable[..., Any]]):
    """What computes an operation, by device type and dtype; found when it is called first."""

    def __init__(self, find: Callable[[str, torch.dtype], Callable[..., Any]]) -> None:
        super().__init__()
        self._find = find

    def __missing__(self, key: tuple[str, torch.dtype]) -> Callable[..., Any]:
        self[key] = found = self._find(*key)
        return found


def _function(name: str, rules: dict[str, Callable[..., Any]]) -> Any:
    return type(name, (torch.autograd.Function,), {rule: staticmethod(function) for rule, function in rules.items()})


def _of_each(function: Callable[[Tensor], Any], output: Any) -> Any:
    """A function of an operator's output, or of each where there are several."""
    return tuple(map(function, output)) if isinstance(output, tuple) else function(output)


def tau_tensor(tau: Tensor | float, dtype: torch.dtype, device: torch.device) -> Tensor:
    """The temperature of tensors of ``dtype`` as a tensor, in the dtype of their computation."""
    if isinstance(tau, Tensor):
        return tau
    dtype = compute_dtype(dtype)
    if torch.compiler.is_compiling():
        # A compiled product does not depend on the number's value, a compiled constant does.
        return torch.ones((), dtype=dtype, device=device) * tau
    return torch.full((), tau, dtype=dtype, device=device)


def seed_tensor(seed: Tensor | int, device: torch.device | str) -> Tensor:
    """The seed as a tensor."""
    return seed if isinstance(seed, Tensor) else torch.full((), seed, dtype=torch.int64, device=device)


def _device_of(args: tuple[Any, ...]) -> str:
    # Every operator begins with a tensor, or with a seed; one that is no tensor belongs to the CPU.
    first = args[0]
    return first.device.type if isinstance(first, Tensor) and not first.is_cpu else "cpu"


def _in_front(tensor: Tensor, dim: int | None, size: int) -> Tensor:
    return tensor.expand(size, *tensor.shape) if dim is None else tensor.movedim(dim, 0)
