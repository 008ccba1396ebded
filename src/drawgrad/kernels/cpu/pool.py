"""Threads for kernels that release the interpreter lock.

As many as ``torch.get_num_threads()`` says at each call; the caller is one of them. Numba's own ``parallel=True`` is
not used because its default threading layer aborts the process when two Python threads enter it.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Lock

import torch

__all__ = ["for_each_block"]

WORTH_A_THREAD = 1 << 14
"""Elements below which handing work to a thread costs more than it saves."""
BLOCKS_PER_THREAD = 4
"""More blocks than threads, so that a thread that was held up does not hold up the call."""

_pool: ThreadPoolExecutor | None = None
_pool_size = 0
_lock = Lock()


def for_each_block(work: Callable[[int, int], None], rows: int, elements: int) -> None:
    """Call ``work(start, stop)`` over blocks that cover ``rows`` rows of ``elements`` elements in all."""
    threads = min(torch.get_num_threads(), rows, elements // WORTH_A_THREAD)
    if threads <= 1:
        work(0, rows)
        return
    blocks = min(rows, threads * BLOCKS_PER_THREAD, elements // WORTH_A_THREAD)
    starts = iter(range(blocks))

    def drain() -> None:
        # next() on one iterator hands each block to one thread: the interpreter lock makes it atomic.
        for block in starts:
            work(rows * block // blocks, rows * (block + 1) // blocks)

    helpers = [_executor(threads - 1).submit(drain) for _ in range(threads - 1)]
    drain()
    for helper in helpers:
        helper.result()


def _executor(size: int) -> ThreadPoolExecutor:
    global _pool, _pool_size
    with _lock:
        if _pool is None or _pool_size < size:
            # A smaller pool finishes what it was given and its threads end with it.
            if _pool is not None:
                _pool.shutdown(wait=False)
            _pool = ThreadPoolExecutor(size, thread_name_prefix="drawgrad")
            _pool_size = size
        return _pool


def _forget() -> None:
    """Threads do not survive a fork, and the lock may be held by one of them."""
    global _pool, _pool_size, _lock
    _pool, _pool_size, _lock = None, 0, Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)
