"""Batches of problems on the threads that torch has, block by block."""

from __future__ import annotations

import time
from typing import Any

import numpy as np

from drawgrad.kernels.cpu.pool import WORTH_A_THREAD, for_each_block
from drawgrad.logic.engine.search import STATE, TIME, rounds, search

__all__ = ["propagate", "solve"]

NODES_A_CALL = 20_000
"""Nodes after which a kernel comes back to Python, which looks at the clock and hears of Ctrl-C: about a second."""


def propagate(code: Any, domains: Any, count: int) -> Any:
    """Domains after that many rounds, after all of them if negative; int64 ``(problems, variables, words)``."""
    domains = np.array(domains, dtype=np.int64, order="C")

    def work(start: int, stop: int) -> None:
        memory = _Memory(code)
        old = np.empty(domains.shape[1:], np.int64)
        rounds(code, domains, count, old, memory.log, memory.masks, memory.work, start, stop)

    if len(domains):
        for_each_block(work, (len(domains), WORTH_A_THREAD))
    return domains


def solve(code: Any, domains: Any, scores: Any, limit: int, nodes: int, seconds: float) -> tuple[Any, Any]:
    """Solutions ``(problems, limit, variables)``, -1 where there is none, and the report ``(problems, 3)``."""
    deadline = time.monotonic() + seconds
    domains = np.array(domains, dtype=np.int64, order="C")
    solutions = np.full((len(domains), limit, domains.shape[1]), -1, np.int64)
    report = np.zeros((len(domains), 3), np.int64)
    best, slack = np.full(len(domains), -np.inf), np.zeros(len(domains))
    given = np.empty((len(domains), 0, 0)) if scores is None else np.ascontiguousarray(scores, np.float64)

    def work(start: int, stop: int) -> None:
        memory = _Memory(code)
        at = start
        while at < stop:
            if time.monotonic() >= deadline:
                report[at:stop, 1] = TIME
                return
            at = search(
                code, domains, given, limit, nodes, solutions, report, best, slack, memory.log, memory.levels,
                memory.masks, memory.work, memory.state, memory.queue, memory.queued, at, stop, NODES_A_CALL,
            )  # fmt: skip

    if len(domains):
        for_each_block(work, (len(domains), WORTH_A_THREAD))
    return solutions, report


class _Memory:
    """What one thread needs for one problem at a time."""

    def __init__(self, code: Any) -> None:
        variables, values, words, constraints, masks, work = (int(code[place]) for place in (1, 2, 3, 4, 8, 9))
        # Each entry of the log is a word that lost a value, so there are never more than values.
        self.log = np.empty((variables * max(values, words) + 1, 3), np.int64)
        self.levels = np.empty((variables + 1, 3), np.int64)
        self.masks = np.empty(masks + 1, np.int64)
        self.work = np.empty(work + 1, np.int64)
        self.state = np.zeros(STATE, np.int64)
        self.queue = np.zeros(max(constraints, 1), np.int64)
        self.queued = np.zeros(max(constraints, 1), np.int8)
