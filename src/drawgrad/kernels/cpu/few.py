"""The CPU twin's draws of few numbers: no threads, nothing looked at twice, and nodes of torch's own for backward.

An ``autograd.Function`` in Python takes longer than such a draw, forward and backward. But the derivative of a
relaxation is made of its value alone, and torch's softmax and sigmoid have nodes with just that derivative, which keep
their result for it. So torch computes the softmax of the logits, for its node, and the kernel writes the sample over
the result before anybody has seen it.

Logits and mask are at hand, the logits float32 without gaps; rows and classes count from zero; nobody asks for
tangents.
"""

from __future__ import annotations

import ctypes
import functools
from collections.abc import Callable
from types import ModuleType

import torch
from torch import Tensor

from drawgrad.kernels.cpu import narrow, wide
from drawgrad.kernels.state import wants_derivative

__all__ = ["binary_concrete", "gumbel_max", "gumbel_softmax"]


def gumbel_softmax(logits: Tensor, tau: float, seed: int, hard: bool, mask: Tensor | None = None) -> Tensor:
    """See :func:`drawgrad.kernels.reference.gumbel_softmax`; False in the mask is a logit of minus infinity."""
    layout, rows, classes = _layout(logits)
    draw = seed, 0, 1, rows, 0, 0, 0, rows
    allowed = logits if mask is None else _allowed(logits, mask)

    def fill(sample: Tensor, hard: bool) -> None:
        if hard:
            layout.gumbel_one_hot(allowed.data_ptr(), sample.data_ptr(), classes, *draw)
        else:
            layout.gumbel_softmax(allowed.data_ptr(), sample.data_ptr(), classes, tau, 0, *draw)

    return _sample(logits, tau, hard, fill, _softmax, mask is not None, torch.inf)


def binary_concrete(logits: Tensor, tau: float, seed: int, hard: bool) -> Tensor:
    """See :func:`drawgrad.kernels.reference.binary_concrete`."""
    _, rows, classes = _layout(logits)

    def fill(sample: Tensor, hard: bool) -> None:
        draw = seed, 0, 1, rows, 0, 0, hard, 0, rows
        wide.binary_concrete(logits.data_ptr(), sample.data_ptr(), classes, tau, 0, *draw)

    return _sample(logits, tau, hard, fill, torch.sigmoid, False, 1.0)


def gumbel_max(logits: Tensor, seed: int, mask: Tensor | None = None) -> Tensor:
    """See :func:`drawgrad.kernels.reference.gumbel_max`; a mask as in :func:`gumbel_softmax`."""
    layout, rows, classes = _layout(logits)
    allowed = logits if mask is None else _allowed(logits, mask)
    index = torch.empty(logits.shape[:-1], dtype=torch.int64, device="cpu")
    layout.gumbel_max(allowed.data_ptr(), index.data_ptr(), classes, seed, 0, 1, rows, 0, 0, 0, rows)
    return index


def _layout(logits: Tensor) -> tuple[ModuleType, int, int]:
    """The kernels for a number of classes; rows, classes."""
    shape = logits.shape
    classes = shape[-1]
    rows = shape[0] if len(shape) == 2 else logits.numel() // classes
    return narrow if classes <= narrow.FEW_CLASSES else wide, rows, classes


def _allowed(logits: Tensor, mask: Tensor) -> Tensor:
    """The logits, -inf where the mask has False."""
    values = logits.detach() if logits.requires_grad else logits
    return torch.where(mask, values, _number(-torch.inf)).contiguous()


def _softmax(scores: Tensor) -> Tensor:
    return torch.softmax(scores, -1)


def _sample(
    logits: Tensor,
    tau: float,
    hard: bool,
    fill: Callable[[Tensor, bool], None],
    link: Callable[[Tensor], Tensor],
    masked: bool,
    top: float,
) -> Tensor:
    """A sample, whose derivative is that of ``link`` at the soft one.

    Args:
        logits: of the draw.
        tau: temperature.
        hard: whether the sample is.
        fill: ``fill(sample, hard)`` writes the numbers of a sample.
        link: torch's function of the scores, whose node keeps its result.
        masked: whether the sample is zero at some places for sure.
        top: the number at which a soft sample has no derivative, besides zero.
    """
    if not wants_derivative(logits):
        sample = torch.empty_like(logits)
        fill(sample, hard)
        return sample
    sample = torch.empty_like(logits) if masked else _linked(logits, tau, link)
    fill(sample, False)
    if masked or not wide.is_between(sample.data_ptr(), sample.numel(), top):
        sample = _without_ends(sample.detach(), logits, tau, link, top)
    elif hard:
        sample = sample.clone()  # Whose node keeps nothing: a hard sample may be written to.
    if hard:
        fill(sample, True)
    return sample


def _linked(logits: Tensor, tau: float, link: Callable[[Tensor], Tensor]) -> Tensor:
    return link(logits if tau == 1 else logits / _number(tau))


def _without_ends(values: Tensor, logits: Tensor, tau: float, link: Callable[[Tensor], Tensor], top: float) -> Tensor:
    """A soft sample of the values. Where they are zero or ``top``, the gradient is zero, whatever comes from above.

    Torch's nodes would multiply the zero by it.
    """
    ends = values.logical_not()
    if top < torch.inf:
        ends |= values == top
    sample = _linked(torch.where(ends, values, logits), tau, link)
    ctypes.memmove(sample.data_ptr(), values.data_ptr(), values.nbytes)
    return torch.where(ends, values, sample)


@functools.lru_cache(32)
def _number(value: float) -> Tensor:
    """A number as a tensor, which torch would make anew of every number that meets one."""
    with torch.inference_mode(False):
        return torch.tensor(value, dtype=torch.float32, device="cpu")
