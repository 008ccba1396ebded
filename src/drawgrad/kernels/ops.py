"""The fused operations as ``torch.library`` operators: one name, a twin for each device, autograd, fake and vmap rules.

An operator works on ``(groups, rows, classes)`` as the twins do (see :mod:`drawgrad.kernels.reference`). The reference
serves every device for which no faster twin is registered.

What backward keeps: a relaxed sample is its own Jacobian, y (g - <g, y>) / tau, so the output is kept; for a hard
sample the logits are kept and the noise is drawn again. Seed and a fixed temperature are scalars and travel as
attributes of the node.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import Any

import torch
from torch import Tensor
from torch.library import CustomOpDef, custom_op

from drawgrad.kernels import reference

__all__ = [
    "binary_concrete",
    "binary_concrete_vjp",
    "gumbel_max",
    "gumbel_softmax",
    "gumbel_softmax_vjp",
    "noise",
    "random_seed",
    "sigmoid_vjp",
    "softmax_vjp",
]

TWINS = {"cpu": "drawgrad.kernels.cpu"}
"""Device type -> module of its twin, which is imported by the first call."""


def _operator(function: Callable[..., Tensor]) -> CustomOpDef:
    name = function.__name__
    operator = custom_op(f"drawgrad::{name}", function, mutates_args=())
    for device, module in TWINS.items():

        def twin(*args: Any, module: str = module) -> Tensor:
            return getattr(import_module(module), name)(*args)

        operator.register_kernel(device)(twin)
    return operator


noise = _operator(reference.noise)
gumbel_softmax = _operator(reference.gumbel_softmax)
gumbel_softmax_vjp = _operator(reference.gumbel_softmax_vjp)
softmax_vjp = _operator(reference.softmax_vjp)
gumbel_max = _operator(reference.gumbel_max)
binary_concrete = _operator(reference.binary_concrete)
binary_concrete_vjp = _operator(reference.binary_concrete_vjp)
sigmoid_vjp = _operator(reference.sigmoid_vjp)


@custom_op("drawgrad::random_seed", mutates_args=(), tags=(torch.Tag.nondeterministic_seeded,))
def random_seed(device: torch.device) -> Tensor:
    """A seed from the default generator of ``device``: opaque to compilers, which would use a generator of their own."""
    return torch.randint(-(2**63), 2**63 - 1, (1,), dtype=torch.int64, device=device)


# Fake rules: every output is contiguous.


@noise.register_fake
def _(seed: Tensor, rows: int, classes: int, row_offset: int, class_offset: int, family: str, dtype: Any) -> Tensor:
    return seed.new_empty((seed.shape[0], rows, classes), dtype=dtype)


@gumbel_max.register_fake
def _(logits: Tensor, *_: Any) -> Tensor:
    return logits.new_empty(logits.shape[:-1], dtype=torch.int64)


@gumbel_softmax.register_fake
@binary_concrete.register_fake
def _like_logits(logits: Tensor, *_: Any) -> Tensor:
    return logits.new_empty(logits.shape)


@gumbel_softmax_vjp.register_fake
@binary_concrete_vjp.register_fake
@softmax_vjp.register_fake
@sigmoid_vjp.register_fake
def _like_second(grad: Tensor, like: Tensor, *_: Any) -> Tensor:
    return like.new_empty(like.shape)


@random_seed.register_fake
def _(device: torch.device) -> Tensor:
    return torch.empty((1,), dtype=torch.int64, device=device)


# vmap rules: the mapped examples become groups, each with its own seed and its own count of rows, so that a mapped call
# draws what a loop over the examples would draw.


def _vmap_rule(operator: CustomOpDef, tau_at: int | None) -> Callable[..., tuple[Tensor, int]]:
    def rule(info: Any, in_dims: tuple[int | None, ...], *args: Any) -> tuple[Tensor, int]:
        size = info.batch_size
        mapped = []
        for position, (argument, dim) in enumerate(zip(args, in_dims, strict=True)):
            if not isinstance(argument, Tensor):
                mapped.append(argument)
                continue
            shared = dim is None
            if position == tau_at and argument.dim() == (0 if shared else 1):
                if not shared:
                    groups, rows, _ = mapped[0].shape
                    argument = argument[:, None].expand(size, groups // size).reshape(groups, 1, 1)
                    argument = argument.expand(groups, rows, 1)
                mapped.append(argument)
                continue
            argument = argument.expand(size, *argument.shape) if shared else argument.movedim(dim, 0)
            mapped.append(argument.flatten(0, 1))
        output = operator(*mapped)
        return output.unflatten(0, (size, -1)), 0

    return rule


noise.register_vmap(_vmap_rule(noise, tau_at=None))
gumbel_max.register_vmap(_vmap_rule(gumbel_max, tau_at=None))
gumbel_softmax.register_vmap(_vmap_rule(gumbel_softmax, tau_at=1))
binary_concrete.register_vmap(_vmap_rule(binary_concrete, tau_at=1))
gumbel_softmax_vjp.register_vmap(_vmap_rule(gumbel_softmax_vjp, tau_at=2))
binary_concrete_vjp.register_vmap(_vmap_rule(binary_concrete_vjp, tau_at=2))
softmax_vjp.register_vmap(_vmap_rule(softmax_vjp, tau_at=2))
sigmoid_vjp.register_vmap(_vmap_rule(sigmoid_vjp, tau_at=2))
