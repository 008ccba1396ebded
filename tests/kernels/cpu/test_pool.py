"""Blocks of rows over threads: every row once, as many threads as torch is told to use, errors, forks."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch

from drawgrad.functional import gumbel_max, gumbel_softmax
from drawgrad.kernels.cpu import pool
from drawgrad.kernels.cpu.pool import WORTH_A_THREAD, for_each_block


@pytest.fixture
def threads() -> Iterator[Callable[[int], None]]:
    """Sets torch's number of threads for one test."""
    before = torch.get_num_threads()
    yield torch.set_num_threads
    torch.set_num_threads(before)


class TestBlocks:
    @pytest.mark.parametrize("count", [1, 2, 4])
    @pytest.mark.parametrize("rows", [1, 2, 7, 1000])
    def test_cover_every_row_once(self, threads: Callable[[int], None], count: int, rows: int) -> None:
        threads(count)
        seen: list[int] = []
        for_each_block(lambda start, stop: seen.extend(range(start, stop)), (rows, 100 * WORTH_A_THREAD))
        assert sorted(seen) == list(range(rows))

    @pytest.mark.parametrize("count", [1, 2, 3])
    def test_run_in_as_many_threads_as_torch_is_told_to_use(
        self, threads: Callable[[int], None], count: int, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        threads(count)
        monkeypatch.setattr(pool, "_pool", ThreadPoolExecutor(8))  # On any number of cores.
        together = threading.Barrier(count)
        names: set[str] = set()

        def work(_start: int, _stop: int) -> None:
            name = threading.current_thread().name
            if name not in names:
                names.add(name)
                # Passes only if all the threads are at work at the same time.
                together.wait(timeout=300)

        for_each_block(work, (1000, WORTH_A_THREAD))
        assert len(names) == count
        assert threading.current_thread().name in names

    def test_small_work_stays_in_the_caller(self, threads: Callable[[int], None]) -> None:
        threads(4)
        blocks: list[tuple[int, int, int]] = []
        for_each_block(lambda *block: blocks.append((*block, threading.get_ident())), (100, WORTH_A_THREAD // 100))
        assert blocks == [(0, 100, threading.get_ident())]

    def test_a_caller_that_is_interrupted_waits_for_who_has_begun(self) -> None:
        """Its tensors are gone after that. In a process of its own, which may be interrupted."""
        script = """
import signal, threading, time, torch
from drawgrad.kernels.cpu.pool import WORTH_A_THREAD, for_each_block

torch.set_num_threads(2)
signal.signal(signal.SIGALRM, signal.default_int_handler)
caller, begun, ended = threading.get_ident(), [], []

def work(start, stop):
    if threading.get_ident() == caller:
        while not begun:
            time.sleep(1e-3)
        return
    begun.append(start)
    signal.setitimer(signal.ITIMER_REAL, 0.2, 0.1)  # Again and again, as by somebody who is in a hurry.
    time.sleep(0.6)
    signal.setitimer(signal.ITIMER_REAL, 0)
    ended.append(start)

try:
    for_each_block(work, (100, WORTH_A_THREAD))
except KeyboardInterrupt:
    print(len(begun), begun == ended)
"""
        run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
        assert run.stdout == "1 True\n", run.stderr

    @pytest.mark.parametrize("failing", ["caller", "helper"])
    def test_an_error_reaches_the_caller_after_all_blocks_are_done(
        self, threads: Callable[[int], None], failing: str
    ) -> None:
        threads(2)
        caller, done = threading.get_ident(), []
        both_work = threading.Barrier(2)

        def work(start: int, stop: int) -> None:
            if not done:
                both_work.wait(timeout=300)
            done.append(stop - start)
            if (threading.get_ident() == caller) == (failing == "caller"):
                raise ArithmeticError("as planned")

        with pytest.raises(ArithmeticError, match="as planned"):
            for_each_block(work, (64, 2 * WORTH_A_THREAD))
        assert sum(done) == 64

    def test_a_pool_that_takes_no_work_leaves_it_to_the_caller(
        self, threads: Callable[[int], None], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """As at the end of the interpreter."""
        closed = ThreadPoolExecutor(1)
        closed.shutdown()
        monkeypatch.setattr(pool, "_pool", closed)
        threads(2)
        seen: set[int] = set()
        for_each_block(lambda *_: seen.add(threading.get_ident()), (64, 2 * WORTH_A_THREAD))
        assert seen == {threading.get_ident()}

    def test_a_busy_pool_does_not_hold_a_call_up(
        self, threads: Callable[[int], None], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        release = threading.Event()
        with ThreadPoolExecutor(1) as busy:
            busy.submit(release.wait)
            monkeypatch.setattr(pool, "_pool", busy)
            threads(2)
            seen: list[int] = []
            for_each_block(lambda start, stop: seen.extend(range(start, stop)), (64, 2 * WORTH_A_THREAD))
            assert sorted(seen) == list(range(64))
            release.set()


SHAPES = [(300, 200), (4000, 16)]


class TestSamples:
    @pytest.mark.parametrize("shape", SHAPES)
    def test_do_not_depend_on_the_number_of_threads(
        self, threads: Callable[[int], None], shape: tuple[int, int]
    ) -> None:
        logits, grad = torch.randn(shape, requires_grad=True), torch.randn(shape)
        results = []
        for count in (1, 2, 4):
            threads(count)
            soft, hard = (gumbel_softmax(logits, 0.5, hard, seed=1) for hard in (False, True))
            results.append([soft, hard, *(torch.autograd.grad(y, logits, grad)[0] for y in (soft, hard))])
        for other in results[1:]:
            for value, expected in zip(other, results[0], strict=True):
                assert torch.equal(value, expected)

    def test_many_threads_may_call_at_once(self, threads: Callable[[int], None]) -> None:
        threads(2)
        logits = [torch.randn(shape) for shape in SHAPES]
        expected = [gumbel_softmax(x, seed=seed) for seed in range(8) for x in logits]
        with ThreadPoolExecutor(8) as callers:
            for _ in range(3):
                calls = [callers.submit(gumbel_softmax, x, seed=seed) for seed in range(8) for x in logits]
                for call, value in zip(calls, expected, strict=True):
                    assert torch.equal(call.result(timeout=300), value)

    @pytest.mark.skipif(not hasattr(os, "fork"), reason="the system has no fork")
    def test_a_forked_child_draws_the_same(self) -> None:
        script = """
import multiprocessing, torch
from drawgrad.functional import gumbel_max

torch.set_num_threads(2)
logits = torch.zeros(300, 200)
expected = gumbel_max(logits, seed=1).tolist()

def child(queue):
    queue.put(gumbel_max(logits, seed=1).tolist())

context = multiprocessing.get_context("fork")
for _ in range(2):
    queue = context.Queue()
    process = context.Process(target=child, args=(queue,))
    process.start()
    assert queue.get(timeout=300) == expected
    process.join(timeout=300)
    assert process.exitcode == 0
assert gumbel_max(logits, seed=1).tolist() == expected
print("same")
"""
        assert run_python(script) == "same"

    def test_the_end_of_the_interpreter_may_draw(self) -> None:
        script = """
import atexit, torch
from drawgrad.functional import gumbel_max

torch.set_num_threads(2)
logits = torch.zeros(300, 200)
expected = gumbel_max(logits, seed=1)
atexit.register(lambda: print("same" if torch.equal(gumbel_max(logits, seed=1), expected) else "other"))
"""
        assert run_python(script) == "same"

    def test_the_first_call_may_come_from_several_threads(self) -> None:
        script = """
import threading, torch
from drawgrad.functional import gumbel_max

logits, results = torch.zeros(300, 200), []
ready = threading.Barrier(4)

def call():
    ready.wait()
    results.append(gumbel_max(logits, seed=1))

callers = [threading.Thread(target=call) for _ in range(4)]
[caller.start() for caller in callers]
[caller.join() for caller in callers]
assert len(results) == 4 and all(torch.equal(r, gumbel_max(logits, seed=1)) for r in results)
print("same")
"""
        assert run_python(script) == "same"


def run_python(script: str) -> str:
    """What a script prints in an interpreter of its own; its failure is ours."""
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=300)
    assert run.returncode == 0, run.stderr
    return run.stdout.strip()


def test_calls_do_not_pile_up_threads(threads: Callable[[int], None]) -> None:
    threads(2)
    logits = torch.zeros(300, 200)
    gumbel_max(logits, seed=0)
    before = threading.active_count()
    for seed in range(50):
        gumbel_max(logits, seed=seed)
    assert threading.active_count() <= max(before, 1 + (os.cpu_count() or 1) + 1)
