"""Threads for kernels that release the interpreter lock.

As many as ``torch.get_num_threads()`` says at each call; the caller is one of them. Numba's own ``parallel=True`` is
not used because its default threading layer aborts the process when two Python threads enter it.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from threading import Semaphore
from typing import Any

import torch

__all__ = ["for_each_block"]

WORTH_A_THREAD = 1 << 14
"""Elements below which handing work to a thread costs more than it saves."""
BLOCKS_PER_THREAD = 4
"""More blocks than threads, so that a thread that was held up does not hold up the call."""


def _new_pool() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(os.cpu_count(), thread_name_prefix="drawgrad")


# It starts a thread when one is asked for and none is idle: a call has as many as it asks for, not more.
_pool = _new_pool()


def for_each_block(work: Callable[..., None], shape: tuple[int, int], arguments: tuple[Any, ...] = ()) -> None:
    """Call ``work(*arguments, start, stop)`` over blocks that cover the rows of a table of ``shape``."""
    rows, elements = shape[0], shape[0] * shape[1]
    threads = 1 if elements < 2 * WORTH_A_THREAD else min(torch.get_num_threads(), rows, elements // WORTH_A_THREAD)
    if threads <= 1:
        work(*arguments, 0, rows)
        return
    blocks = min(rows, threads * BLOCKS_PER_THREAD, elements // WORTH_A_THREAD)
    starts = iter(range(blocks))
    finished = Semaphore(0)
    errors: list[BaseException] = []
    helping: list[None] = []
    helped: list[None] = []

    def drain() -> None:
        # next() on one iterator hands each block to one thread: the interpreter lock makes it atomic.
        for block in starts:
            try:
                work(*arguments, rows * block // blocks, rows * (block + 1) // blocks)
            except BaseException as error:
                errors.append(error)
            finally:
                finished.release()

    def help_out() -> None:
        helping.append(None)
        drain()
        helped.append(None)

    try:
        # An interpreter that ends starts no threads any more: then the caller does all the work.
        with contextlib.suppress(RuntimeError):
            for _ in range(threads - 1):
                _pool.submit(help_out)
        drain()
        # Blocks are waited for, not helpers: one that comes late, behind another call's work, finds nothing to do.
        for _ in range(blocks):
            finished.acquire()
    except BaseException:
        # The caller is interrupted, and its tensors will be no more.
        _wait_for_helpers(starts, helping, helped)
        raise
    if errors:
        raise errors[0]


def _wait_for_helpers(starts: Iterator[int], helping: Sequence[None], helped: Sequence[None]) -> None:
    """Take the blocks that nobody has begun, and wait for those who have begun one, however often it is interrupted."""
    while True:
        with contextlib.suppress(KeyboardInterrupt):
            for _ in starts:
                pass
            while len(helped) < len(helping):
                time.sleep(1e-3)
            return


def _forget() -> None:
    """Threads do not survive a fork."""
    global _pool
    _pool = _new_pool()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)
