"""Models that call ``torch.nn.functional.gumbel_softmax``, run with the sampler of this package: nothing is patched."""

from __future__ import annotations

import sys
from collections import Counter
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

from drawgrad.functional import gumbel_softmax

__all__ = ["swapped_gumbel_softmax"]

TORCHS = torch.nn.functional.gumbel_softmax


class swapped_gumbel_softmax(TorchFunctionMode):
    """A context in which :func:`drawgrad.functional.gumbel_softmax` serves the calls of torch's function of that name.

    For models that one does not want to rewrite, such as the quantizers of Wav2Vec2, WavLM and UniSpeech of Hugging
    Face. It uses torch's own way of overriding functions: no attribute of any module is changed, other threads are not
    concerned, and at the end of the ``with`` block torch's function serves again. What it served is kept, and told by
    ``print``. Within the block all of torch's functions are a little slower, each by a few microseconds.

    A function of a model's own that has this name, as GroupViT has it, is not torch's and stays.

    Args:
        generator: draws the seeds; torch's default generator if None.

    Attributes:
        served: how many calls came from each place, by ``module.function``.

    Example:
        >>> import torch.nn.functional as F
        >>> with swapped_gumbel_softmax() as swap:
        ...     y = F.gumbel_softmax(torch.zeros(2, 3), tau=0.5, hard=True)
        >>> print(swap)
        torch.nn.functional.gumbel_softmax -> drawgrad.functional.gumbel_softmax: 1 call from ...
    """

    def __init__(self, generator: torch.Generator | None = None) -> None:
        super().__init__()
        self.generator = generator
        self.served: Counter[str] = Counter()

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Serve torch's function by that of this package, and pass all others on."""
        kwargs = kwargs or {}
        if func is not TORCHS:
            return func(*args, **kwargs)
        self.served[_caller()] += 1
        return self._serve(*args, **kwargs)

    def _serve(self, logits: Tensor, tau: float = 1, hard: bool = False, eps: float = 0.0, dim: int = -1) -> Tensor:
        # torch's order of arguments, and its eps, which is not needed.
        return gumbel_softmax(logits, tau, hard, dim, generator=self.generator)

    def __str__(self) -> str:
        calls = ", ".join(f"{count} call{'s' * (count != 1)} from {place}" for place, count in self.served.items())
        return f"torch.nn.functional.gumbel_softmax -> drawgrad.functional.gumbel_softmax: {calls or 'no calls'}"


def _caller() -> str:
    """Who called torch's function, which called this file."""
    frame = sys._getframe(1)
    while frame.f_code is not TORCHS.__code__ and frame.f_back is not None:
        frame = frame.f_back
    frame = frame.f_back or frame
    return f"{frame.f_globals.get('__name__')}.{frame.f_code.co_qualname}"
