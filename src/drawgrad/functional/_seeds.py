"""What all samplers do with ``generator`` and ``seed``."""

from __future__ import annotations

from numbers import Integral

import torch
from torch import Tensor

from drawgrad._checks import check_at_hand
from drawgrad.kernels import ops
from drawgrad.kernels.operator import seed_tensor
from drawgrad.kernels.state import is_bare, wants_torch_operations

__all__ = ["as_seed", "seed_of"]


def seed_of(generator: torch.Generator | None, seed: int | Tensor | None, device: torch.device) -> int | Tensor:
    """The seed of one call as operators take it: as given, or drawn from ``generator``, torch's default if None."""
    if seed is not None:
        if generator is not None:
            raise ValueError(
                "generator and seed are both given, but the seed is all the randomness of a call; pass one"
            )
        return as_seed(seed, device, "seed")
    if generator is None:
        if torch.compiler.is_compiling() and not wants_torch_operations():
            return ops.random_seed(torch.empty(0, device=device))
        drawn = torch.randint(-(2**63), 2**63 - 1, (), dtype=torch.int64, device=device)
    else:
        if not isinstance(generator, torch.Generator):
            raise TypeError(
                f"generator must be a torch.Generator, but it is {generator!r} ({type(generator).__name__}); give a "
                "number as seed="
            )
        if generator.device.type != device.type:
            raise ValueError(
                f"generator must be on the device of the sample, {device}, but it is on {generator.device}; "
                f"make one with torch.Generator({str(device)!r})"
            )
        drawn = torch.randint(-(2**63), 2**63 - 1, (), dtype=torch.int64, device=device, generator=generator)
    return _at_hand(drawn)


def as_seed(seed: int | Tensor, device: torch.device, name: str) -> int | Tensor:
    """A seed that a caller gave: a signed number where numbers are at hand, a 0-dim tensor on ``device`` elsewhere."""
    if isinstance(seed, Tensor):
        if seed.dim() != 0 or seed.dtype != torch.int64:
            raise ValueError(
                f"{name} must be an int or a 0-dim int64 tensor, but it is a tensor of shape "
                f"{tuple(seed.shape)} and dtype {seed.dtype}; draw one with torch.randint(2**63 - 1, ())"
            )
        if seed.device != device:
            check_at_hand(seed, device, name)
            seed = seed.to(device)
        found = _at_hand(seed)
        # A copy: backward draws again, and a caller may count the seed up in place before.
        return found.clone() if isinstance(found, Tensor) else found
    if isinstance(seed, bool) or not isinstance(seed, Integral | torch.SymInt):
        raise TypeError(f"{name} must be an int or a 0-dim int64 tensor, but it is {seed!r} ({type(seed).__name__})")
    if not -(2**63) <= seed < 2**64:
        raise ValueError(f"{name} must fit into 64 bits, but it is {seed}; take it modulo 2**64")
    signed = seed - 2**64 if seed >= 2**63 else seed
    if device.type == "cpu" and is_bare():
        return int(signed)
    return seed_tensor(signed, device)


def _at_hand(seed: Tensor) -> int | Tensor:
    return seed.item() if seed.is_cpu and is_bare(seed) else seed  # type: ignore[return-value]
