"""Clocks of a device: how long a call takes on it, and how much memory."""

from __future__ import annotations

import statistics
from collections.abc import Callable
from typing import Protocol

import torch

__all__ = ["Clock", "CudaClock"]

FLUSHED = 512 << 20
"""Bytes that are overwritten between calls: more than the caches of any GPU hold."""


class Clock(Protocol):
    """What a benchmark asks of a device."""

    def turn(self, call: Callable[[], object], calls: int) -> float:
        """Median time of a call, in seconds, after one that does not count."""

    def peak(self, call: Callable[[], object]) -> int:
        """Bytes that a call needs at its peak beyond those that were taken before it."""


class CudaClock:
    """The clock of a CUDA device, which reads the device's own events.

    Every call starts from cold caches, as in a network whose other layers use them. The launches run ahead of the
    device while it overwrites the caches, so that what is timed is the device and not the launching process.
    """

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self.flushed = torch.empty(FLUSHED, dtype=torch.int8, device=device)

    def turn(self, call: Callable[[], object], calls: int) -> float:
        """See :class:`Clock`."""
        call()
        events = [[torch.cuda.Event(enable_timing=True) for _ in range(2)] for _ in range(calls)]
        for start, end in events:
            self.flushed.zero_()
            start.record()
            call()
            end.record()
        torch.cuda.synchronize(self.device)
        return statistics.median(start.elapsed_time(end) for start, end in events) / 1e3

    def peak(self, call: Callable[[], object]) -> int:
        """See :class:`Clock`."""
        call()
        torch.cuda.synchronize(self.device)
        torch.cuda.reset_peak_memory_stats(self.device)
        before = torch.cuda.memory_allocated(self.device)
        call()
        torch.cuda.synchronize(self.device)
        return torch.cuda.max_memory_allocated(self.device) - before
