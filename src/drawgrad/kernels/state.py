"""What torch is doing at the moment, where its own functions behave differently for it.

The only file that reads private names of torch, so that a new version of torch is looked through in one place.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import Parameter
from torch.utils._python_dispatch import TorchDispatchMode

__all__ = ["TorchDispatchMode", "is_bare", "is_transformed"]


def is_bare(*tensors: Tensor) -> bool:
    """Whether a function of these tensors may look at their numbers directly: nobody watches, wraps or traces it."""
    return (
        not torch.compiler.is_compiling()
        and not torch._C._are_functorch_transforms_active()
        and not torch._C._len_torch_dispatch_stack()
        and torch._C._get_tracing_state() is None
        and all((type(tensor) is Tensor or type(tensor) is Parameter) and not tensor.is_neg() for tensor in tensors)
    )


def is_transformed() -> bool:
    """Whether a transform of ``torch.func`` is at work, inside of which ``torch.autograd`` cannot be called."""
    return bool(torch._C._are_functorch_transforms_active())
