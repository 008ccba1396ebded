"""Output buffers."""

from __future__ import annotations

import ctypes
import functools
import mmap
from collections.abc import Callable

import torch
from torch import Tensor

__all__ = ["empty"]

WORTH_HUGE_PAGES = 1 << 23
"""Bytes from which an allocation is fresh memory of the kernel's, mapped page by page as it is touched."""


def empty(shape: tuple[int, ...], dtype: torch.dtype) -> Tensor:
    """``torch.empty``, with huge pages for large results where the system offers them.

    Mapping 32 MiB in pages of 4 KiB takes longer than drawing eight million samples into them.
    """
    tensor = torch.empty(shape, dtype=dtype)
    size = tensor.numel() * tensor.element_size()
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
