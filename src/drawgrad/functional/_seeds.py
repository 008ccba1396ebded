"""What all samplers do with ``generator`` and ``seed``."""

from __future__ import annotations

import threading
from numbers import Integral

import torch
from torch import Tensor

from drawgrad._checks import check_at_hand
from drawgrad.kernels import ops
from drawgrad.kernels.operator import seed_tensor
from drawgrad.kernels.state import is_bare, wants_torch_operations

__all__ = ["as_seed", "draw_number", "seed_of"]


LOWEST, END = -(2**63), 2**63 - 1
"""Seeds are drawn from all integers of 64 bits but the last one."""


_thread = threading.local()
"""Holds the tensor in which a thread draws its seeds: a new one for each would take a third of a small call."""


def seed_of(
    generator: torch.Generator | None,
    seed: int | Tensor | None,
    device: torch.device,
    groups: int | Tensor | None = None,
) -> int | Tensor:
    """The seed of one call as operators take it: as given, or drawn from ``generator``, torch's default if None.

    Args:
        generator: draws the seed.
        seed: the seed itself.
        device: of the draw.
        groups: how many seeds there may be instead of one, if the operator takes several.
    """
    if seed is not None:
        if generator is not None:
            raise ValueError(
                "generator and seed are both given, but the seed is all the randomness of a call; pass one"
            )
        return as_seed(seed, device, "seed", groups)
    if generator is None:
        if torch.compiler.is_compiling() and not wants_torch_operations():
            return ops.random_seed(torch.empty(0, device=device))
    elif not isinstance(generator, torch.Generator):
        raise TypeError(
            f"generator must be a torch.Generator, but it is {generator!r} ({type(generator).__name__}); give a "
            "number as seed="
        )
    elif generator.device.type != device.type:
        raise ValueError(
            f"generator must be on the device of the sample, {device}, but it is on {generator.device}; "
            f"make one with torch.Generator({str(device)!r})"
        )
    if device.type == "cpu" and is_bare():
        return draw_number(generator)
    if generator is None:  # Exporters know the function without the argument, and not the other one.
        return torch.randint(LOWEST, END, (), dtype=torch.int64, device=device)
    return torch.randint(LOWEST, END, (), dtype=torch.int64, device=device, generator=generator)


def draw_number(generator: torch.Generator | None) -> int:
    """What ``torch.randint`` would draw on the CPU."""
    word = getattr(_thread, "word", None)
    if word is None:
        with torch.inference_mode(False):  # Which else would not let it be written to outside.
            word = _thread.word = torch.empty((), dtype=torch.int64, device="cpu")
    return int(word.random_(LOWEST, END, generator=generator).item())


def as_seed(seed: int | Tensor, device: torch.device, name: str, groups: int | Tensor | None = None) -> int | Tensor:
    """A seed that a caller gave: a signed number where numbers are at hand, a tensor on ``device`` elsewhere."""
    if isinstance(seed, Tensor):
        if (seed.dim() and tuple(seed.shape) != (groups,)) or seed.dtype != torch.int64:
            several = (
                "" if groups is None else f", or one seed for each entry of the first dimension, shape ({groups},)"
            )
            raise ValueError(
                f"{name} must be an int or a 0-dim int64 tensor{several}, but it is a tensor of shape "
                f"{tuple(seed.shape)} and dtype {seed.dtype}; draw one with torch.randint(2**63 - 1, ())"
            )
        if seed.device != device:
            check_at_hand(seed, device, name)
            seed = seed.to(device)
        # A copy: backward draws again, and a caller may count the seed up in place before.
        return seed.item() if not seed.dim() and seed.is_cpu and is_bare(seed) else seed.clone()  # type: ignore[return-value]
    if type(seed) is not int and (isinstance(seed, bool) or not isinstance(seed, Integral | torch.SymInt)):
        raise TypeError(f"{name} must be an int or a 0-dim int64 tensor, but it is {seed!r} ({type(seed).__name__})")
    if not -(2**63) <= seed < 2**64:
        raise ValueError(f"{name} must fit into 64 bits, but it is {seed}; take it modulo 2**64")
    signed = seed - 2**64 if seed >= 2**63 else seed
    if device.type == "cpu" and is_bare():
        return int(signed)
    return seed_tensor(signed, device)
