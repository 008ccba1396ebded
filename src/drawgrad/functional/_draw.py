"""What samplers share: the seed of a call, and the way from tensors of any layout to (groups, rows, classes) and back."""

from __future__ import annotations

import torch
from torch import Tensor

from drawgrad._checks import check_temperature
from drawgrad.kernels import ops, reference

__all__ = ["as_rows", "call", "draw_seed", "from_rows", "row_temperature"]


def call(operator: str, *args: object) -> Tensor:
    """Call an operator; under an exporter its reference, so that an exported program needs torch's operations only."""
    module = reference if torch.compiler.is_exporting() else ops
    return getattr(module, operator)(*args)


def draw_seed(generator: torch.Generator | None, seed: int | Tensor | None, device: torch.device) -> Tensor:
    """The seed of one call, int64, shape ``(1,)``: as given, or drawn from ``generator`` (torch's default one if None)."""
    if seed is None:
        return _random_seed(generator, device)
    if generator is not None:
        raise ValueError("generator and seed are both given, but the seed is all the randomness of a call; pass one")
    if isinstance(seed, Tensor):
        if seed.dim() != 0 or seed.dtype != torch.int64:
            raise ValueError(
                "seed must be an int or a 0-dim int64 tensor, but it is a tensor of shape "
                f"{tuple(seed.shape)} and dtype {seed.dtype}; draw one with torch.randint(2**63 - 1, ())"
            )
        return seed.to(device).reshape(1)
    if isinstance(seed, bool) or not isinstance(seed, int | torch.SymInt):
        raise TypeError(f"seed must be an int or a 0-dim int64 tensor, but it is {seed!r} ({type(seed).__name__})")
    if not -(2**63) <= seed < 2**64:
        raise ValueError(f"seed must fit into 64 bits, but it is {seed}; take it modulo 2**64")
    return torch.full((1,), seed - 2**64 if seed >= 2**63 else seed, dtype=torch.int64, device=device)


def _random_seed(generator: torch.Generator | None, device: torch.device) -> Tensor:
    if generator is not None and generator.device.type != device.type:
        raise ValueError(
            f"generator must be on the device of the sample, {device}, but it is on {generator.device}; "
            f"make one with torch.Generator({str(device)!r})"
        )
    if generator is None and torch.compiler.is_compiling() and not torch.compiler.is_exporting():
        return ops.random_seed(device)
    return torch.randint(-(2**63), 2**63 - 1, (1,), dtype=torch.int64, device=device, generator=generator)


def as_rows(tensor: Tensor, dim: int) -> Tensor:
    """A tensor with its classes along ``dim``, as ``(1, rows, classes)``; a view where the layout allows it."""
    return tensor.movedim(dim, -1)[None, None].flatten(1, -2)


def from_rows(rows: Tensor, like: Tensor, dim: int) -> Tensor:
    """The inverse of :func:`as_rows`."""
    return rows.reshape(like.movedim(dim, -1).shape).movedim(-1, dim)


def row_temperature(tau: float | Tensor, logits: Tensor, dim: int, cure: str) -> Tensor | None:
    """``tau`` as operators take it, shape ``()`` or ``(1, rows, 1)``; None where it differs between classes of a row."""
    check_temperature(tau, cure)
    dtype = reference.compute_dtype(logits.dtype)
    if not isinstance(tau, Tensor):
        # Not torch.full: a compiled product does not depend on the number's value, a compiled constant does.
        return torch.ones((), dtype=dtype, device=logits.device) * tau
    tau = tau.to(logits.device, dtype)
    if tau.numel() == 1 and tau.dim() <= logits.dim():
        return tau.reshape(())
    shape = (1,) * (logits.dim() - tau.dim()) + tuple(tau.shape)
    if len(shape) != logits.dim() or any(t not in (1, n) for t, n in zip(shape, logits.shape, strict=True)):
        raise ValueError(
            f"tau must broadcast to the shape of the logits, {tuple(logits.shape)}, but its shape is {tuple(tau.shape)}; "
            "give every row its own temperature with shape (*batch, 1), or expand the logits first"
        )
    if shape[dim] != 1:
        return None
    rows = list(logits.shape)
    rows[dim] = 1
    return as_rows(tau.reshape(shape).expand(rows), dim)
