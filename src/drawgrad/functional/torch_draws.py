"""Torch's own samplers, which take no generator, drawn from a seed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch

from drawgrad._typing import Tensor
from drawgrad.kernels.state import TorchDispatchMode

__all__ = ["seeded"]


class seeded(TorchDispatchMode):
    """Inside ``with seeded(seed):`` torch's random operations of this thread draw from generators of that seed.

    For distributions whose sampler takes no generator. The global generators are neither read nor moved, so that other
    threads draw what they would draw anyway.

    Args:
        seed: 0-dim int64 tensor.

    Example:
        >>> import torch
        >>> with seeded(torch.tensor(7)):
        ...     first = torch.distributions.Gamma(2.0, 1.0).sample()
        >>> with seeded(torch.tensor(7)):
        ...     again = torch.distributions.Gamma(2.0, 1.0).sample()
        >>> bool(first == again)
        True
    """

    def __init__(self, seed: Tensor) -> None:
        super().__init__()
        self.seed = int(seed) % 2**63
        self.generators: dict[torch.device, torch.Generator] = {}

    def __torch_dispatch__(
        self, func: Any, types: Any, args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        kwargs = dict(kwargs or {})
        if torch.Tag.nondeterministic_seeded in func.tags:
            func = _taking_a_generator(func)
            names = [argument.name for argument in func._schema.arguments]
            # An operator without the argument stays with torch's generator.
            if "generator" in names and kwargs.get("generator") is None:
                args = args[: names.index("generator")]
                kwargs["generator"] = self._generator(args, kwargs)
        return func(*args, **kwargs)

    def _generator(self, args: Sequence[Any], kwargs: Mapping[str, Any]) -> torch.Generator:
        place = next((arg.device for arg in args if isinstance(arg, Tensor)), kwargs.get("device"))
        device = torch.empty(()).device if place is None else torch.device(place)
        if device not in self.generators:
            self.generators[device] = torch.Generator(device).manual_seed(self.seed)
        return self.generators[device]


def _taking_a_generator(func: Any) -> Any:
    """The overload of an operator that takes a generator, if it has one of its own: ``rand``, ``randint``, ..."""
    name = "generator" if func._overloadname == "default" else f"{func._overloadname}_generator"
    return getattr(func.overloadpacket, name, func)
