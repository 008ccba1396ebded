"""Runs the program as a process does, and tries at many moments what a signal would do.

At every twentieth of a second of the processor's time the process forks. The child gets the signal, twice, as from an
impatient user, and has to end by it; the run itself goes on to the next moment. So one run tries all moments: while
modules are imported, kernels are compiled, callbacks come from C, figures are drawn, and exit hooks run.

    python -m tests.cli.moments FILE ARGUMENT ...

writes lines of JSON into the file: where the run was, the signal, the exit code, and what stood on standard error.
"""

from __future__ import annotations

import atexit
import itertools
import json
import os
import signal
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any

from drawgrad.cli import main, process
from drawgrad.studies.exhibits import EXHIBITS

APART = 0.05
PATIENCE = 60.0
"""Seconds after which a child has lost its signal."""
SIGNALS = itertools.cycle((signal.SIGINT, signal.SIGTERM))


def _try(place: str, file: Path) -> None:
    """Let a copy of this process get a signal."""
    number = next(SIGNALS)
    with tempfile.TemporaryFile() as error:
        child = os.fork()
        if child == 0:
            signal.signal(signal.SIGVTALRM, signal.SIG_IGN)
            os.dup2(error.fileno(), 2)
            os.kill(os.getpid(), number)
            os.kill(os.getpid(), number)
            return  # If the signal is lost, the child goes on as the program would.
        end = time.monotonic() + PATIENCE
        while (found := os.waitpid(child, os.WNOHANG))[0] == 0:
            if time.monotonic() > end:
                os.kill(child, signal.SIGKILL)
                signal.setitimer(signal.ITIMER_VIRTUAL, 0)  # One that is lost is enough to know.
            time.sleep(0.001)
        error.seek(0)
        line = [place, int(number), os.waitstatus_to_exitcode(found[1]), error.read().decode()]
    with file.open("a") as results:
        results.write(json.dumps(line) + "\n")


def _watched(begin: Callable[[], None], file: Path) -> Callable[[], None]:
    """What begins the process, and then tries."""

    def tick(number: int, frame: FrameType | None) -> None:
        _try(f"{frame.f_globals.get('__name__')}.{frame.f_code.co_name}" if frame else "", file)

    def begin_and_watch() -> None:
        begin()
        atexit.register(_try, "exit", file)
        signal.signal(signal.SIGVTALRM, tick)
        signal.setitimer(signal.ITIMER_VIRTUAL, APART, APART)

    return begin_and_watch


def _small(runs: int) -> Any:
    from drawgrad.studies.exhibits.coin import Coin

    return Coin(runs=runs, steps=5, targets=(0.45,))


if __name__ == "__main__":
    results = Path(sys.argv.pop(1))
    EXHIBITS["coin"] = EXHIBITS["coin"]._replace(recipe=_small)
    process.begin = _watched(process.begin, results)
    sys.exit(main())
