"""Output buffers: what torch.empty gives, with or without huge pages."""

from __future__ import annotations

import mmap

import pytest
import torch

from drawgrad.kernels.cpu import memory
from drawgrad.kernels.cpu.memory import WORTH_HUGE_PAGES, empty

LARGE = WORTH_HUGE_PAGES // 4


@pytest.mark.parametrize("shape", [(0,), (3, 4), (2, LARGE)])
def test_is_an_ordinary_tensor(shape: tuple[int, ...]) -> None:
    tensor = empty(shape, torch.float32)
    assert tensor.shape == shape
    assert tensor.dtype == torch.float32
    assert tensor.is_contiguous()
    tensor.fill_(3)
    assert bool((tensor == 3).all())


def test_advice_concerns_whole_pages_within_large_tensors_only(monkeypatch: pytest.MonkeyPatch) -> None:
    advised: list[tuple[int, int]] = []
    monkeypatch.setattr(memory, "_madvise", lambda: lambda start, size, _advice: advised.append((start, size)))
    empty((LARGE - 1,), torch.float32)
    assert advised == []
    if not hasattr(mmap, "MADV_HUGEPAGE"):
        pytest.skip("the system has no advice about huge pages")
    tensor = empty((LARGE + 1000,), torch.float32)
    ((start, size),) = advised
    begin, end = tensor.data_ptr(), tensor.data_ptr() + 4 * tensor.numel()
    assert start % mmap.PAGESIZE == size % mmap.PAGESIZE == 0
    assert begin <= start < begin + mmap.PAGESIZE
    assert end - mmap.PAGESIZE < start + size <= end


def test_a_system_without_huge_pages_is_no_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(mmap, "MADV_HUGEPAGE", raising=False)
    memory._madvise.cache_clear()
    try:
        assert empty((LARGE,), torch.float32).numel() == LARGE
    finally:
        memory._madvise.cache_clear()
