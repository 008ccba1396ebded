"""What torch is doing at the moment, where the operators behave differently for it.

The only file that reads private names of torch, so that there is one place to look through when torch changes.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd import forward_ad
from torch.nn import Parameter
from torch.utils._python_dispatch import TorchDispatchMode

__all__ = [
    "TorchDispatchMode",
    "apply_of",
    "below_autograd",
    "carries_tangents",
    "eager_apply",
    "first_index",
    "home_of",
    "is_bare",
    "is_transformed",
    "keeps_memory",
    "wants_derivative",
    "wants_torch_operations",
]

DEVICES = {"cpu", "cuda"}
"""Device types whose memory is looked at."""
PLAIN = {Tensor, Parameter}
NUMBERS = {int, float, bool, type(None)}


# Looked up once: each of them takes as long as its look-up.
_compiler = torch.compiler
_is_transforming, _modes, _trace = (
    torch._C._are_functorch_transforms_active,
    torch._C._len_torch_dispatch_stack,
    torch._C._get_tracing_state,
)
_packing = torch._C._autograd._top_saved_tensors_default_hooks
_has_storage, _any_requires_grad = torch._C._has_storage, torch._C._any_requires_grad


def home_of(*values: Any) -> str | None:
    """The device type whose memory a function of these numbers and tensors may look at; the CPU where all are numbers.

    None if nobody may: torch.func, a mode, a compiler or a trace is at work, or something else than memory stands
    behind a tensor, such as a subclass, a transform that is over, a sign that is not written down, a sparse layout,
    storage that was given back; or they are on several devices.
    """
    # The flag is that of compilers which are not Dynamo; torch's own function for both takes two calls more.
    if _compiler.is_dynamo_compiling() or _compiler._is_compiling_flag:
        return None
    if _is_transforming() or _modes() or _trace() is not None:
        return None
    home = None
    for value in values:
        kind = type(value)
        if kind in PLAIN:
            if not _has_storage(value) or value.is_neg() or value._is_zerotensor():
                return None
            if not value.data_ptr() and value.numel():  # Its memory was given back.
                return None
            here = "cpu" if value.is_cpu else value.device.type
            if here not in DEVICES or here != (home or here):
                return None
            home = here
        elif kind not in NUMBERS and isinstance(value, Tensor):
            return None
    return home or "cpu"


def is_bare(*values: Any) -> bool:
    """Whether :func:`home_of` these values is known."""
    return home_of(*values) is not None


def is_transformed() -> bool:
    """Whether torch.func is at work, which sees derivatives of an ``autograd.Function`` only if it meets it itself."""
    return torch._C._are_functorch_transforms_active()


def wants_torch_operations() -> bool:
    """Whether a function shall consist of torch's own operations.

    That is under an exporter, whose programs shall not need this package, and where code is compiled that uses
    torch.func, which sees through no operator of others.
    """
    if torch._C._get_tracing_state() is not None:
        return True
    if not torch.compiler.is_compiling():
        return False
    # Not is_exporting(), which torch 2.11 takes for true in all code that it compiles.
    return torch.compiler._is_exporting_flag or torch._C._are_functorch_transforms_active()


def wants_derivative(*arguments: Any) -> bool:
    """Whether a derivative of a function of these arguments may be asked for, in backward or in forward mode."""
    if torch.is_grad_enabled() and _any_requires_grad(*arguments):
        return True
    return forward_ad._current_level >= 0 and torch._C._is_fwd_grad_enabled()


def carries_tangents() -> bool:
    """Whether an ``autograd.Function`` that runs now may be asked for its derivative in forward mode."""
    return forward_ad._current_level >= 0 or torch._C._are_functorch_transforms_active()


def keeps_memory() -> bool:
    """Whether what a node of torch's keeps for backward is the memory it was made with, without tangents.

    And not what hooks make of it, those of a checkpoint or of a user's.
    """
    return _packing(True) is None and forward_ad._current_level < 0


def eager_apply(function: Any) -> Any:
    """``function.apply`` where torch.func is not at work: without a look for it, which takes half a small draw."""
    return super(torch.autograd.Function, function).apply


def apply_of(function: Any) -> Any:
    """``function.apply`` of one with ``setup_context``, of whose signature torch makes sure at every call.

    That takes longer than a small draw, and only torch.func and compilers need it. Elsewhere the same rules are run in
    the form without it.
    """

    def forward(ctx: Any, *inputs: Any) -> Any:
        output = function.forward(*inputs)
        function.setup_context(ctx, inputs, output)
        return output

    rules = {"forward": staticmethod(forward), "backward": staticmethod(function.backward)}
    recorded = eager_apply(type(function.__name__, (torch.autograd.Function,), rules))

    def apply(*inputs: Any) -> Any:
        # Tangents are known to the form with setup_context alone.
        if home_of(*inputs) is None or carries_tangents():
            return function.apply(*inputs)
        return recorded(*inputs)

    return apply


def below_autograd(operator: Any, keyset: Any, arguments: tuple[Any, ...]) -> Tensor:
    """Call what the dispatcher would call if no derivative were wanted."""
    with torch._C._AutoDispatchBelowAutograd():
        result: Tensor = operator.redispatch(keyset & torch._C._after_autograd_keyset, *arguments)
        return result


def first_index(shape: Any, mesh: Any, placements: Any) -> int:
    """Where the part of a DTensor's first dimension begins that this device holds."""
    from torch.distributed.tensor._utils import compute_local_shape_and_global_offset

    return int(compute_local_shape_and_global_offset(shape, mesh, placements)[1][0])
