"""Output buffers."""

from __future__ import annotations

import ctypes
import functools
import mmap
from collections.abc import Callable

import torch
from torch import Tensor

__all__ = ["empty", "empty_like"]

WORTH_HUGE_PAGES = 1 << 23
"""Bytes from which an allocation is fresh memory of the kernel's, mapped page by page as it is touched."""


def empty(shape: tuple[int, ...], dtype: torch.dtype) -> Tensor:
    """``torch.empty``, with huge pages for large results where the system offers them.

    Mapping 32 MiB in pages of 4 KiB takes longer than drawing eight million samples into them.
    """
    return _with_huge_pages(torch.empty(shape, dtype=dtype, device="cpu"))


def empty_like(tensor: Tensor) -> Tensor:
    """A tensor like another one without gaps, as :func:`empty`: in a third of the time where it is small."""
    result = torch.empty_like(tensor)
    return result if result.nbytes < WORTH_HUGE_PAGES else _with_huge_pages(result)


def _with_huge_pages(tensor: Tensor) -> Tensor:
    size = tensor.nbytes
    if size >= WORTH_HUGE_PAGES and (advise := _madvise()) is not None:
        start = -(-tensor.data_ptr() // mmap.PAGESIZE) * mmap.PAGESIZE
        stop = (tensor.data_ptr() + size) // mmap.PAGESIZE * mmap.PAGESIZE
        # Advice only: a refusal changes nothing but the speed.
        advise(start, stop - start, mmap.MADV_HUGEPAGE)
    return tensor


@functools.cache
def _madvise() -> Callable[[int, int, int], int] | None:
    if not hasattr(mmap, "MADV_HUGEPAGE"):
        return None
    function = ctypes.CDLL(None).madvise
    function.argtypes = (ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int)
    function.restype = ctypes.c_int
    return function
