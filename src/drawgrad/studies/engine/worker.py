"""What runs in the process of a worker: it knows whether it is still wanted before it imports what takes long."""

from __future__ import annotations

import json
import os
import pickle
import sys
import threading

__all__ = ["main"]


def main() -> None:
    """Do the work that standard input holds, which stays open as long as the results are wanted."""
    try:
        content = pickle.load(sys.stdin.buffer)
    except EOFError:
        return
    threading.Thread(target=_watch, daemon=True).start()
    # What a recipe or a library prints goes where warnings go.
    report = os.fdopen(os.dup(1), "w", encoding="utf-8", buffering=1)
    os.dup2(2, 1)

    from drawgrad.studies.engine.jobs import perform

    work, root = pickle.loads(content)
    for outcome in perform(work, root, lambda *said: print(json.dumps([*said, None]), file=report)):
        if outcome.failure is not None:
            print(json.dumps([outcome.job.name, "", outcome.failure]), file=report)


def _watch() -> None:
    """End the process as soon as standard input ends."""
    # Not through sys.stdin, whose lock this thread would still hold when the interpreter ends.
    while os.read(0, 1):
        pass
    os._exit(1)
