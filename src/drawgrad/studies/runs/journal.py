"""What a run measured while it ran: lines of `metrics.jsonl`, mirrored as TensorBoard events."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Any

from drawgrad.studies.files import write_atomically

__all__ = ["Journal", "read_metrics"]


class Journal:
    """Appends measurements to a run. Opening one for a run that was cut short first forgets what lies beyond a step.

    `metrics.jsonl` is the record: the TensorBoard events are written anew from it, so that neither shows a step twice.

    Args:
        metrics: The file of lines.
        events: The folder of TensorBoard's events.
        step: The number of steps that are taken already; lines beyond it are deleted.
    """

    def __init__(self, metrics: Path, events: Path, step: int) -> None:
        from torch.utils.tensorboard import SummaryWriter

        kept = [line for line in read_metrics(metrics) if line["step"] <= step]
        text = "".join(json.dumps(line) + "\n" for line in kept)
        write_atomically(metrics, text)
        self._file = metrics.open("a", buffering=1)
        shutil.rmtree(events, ignore_errors=True)
        self._events = SummaryWriter(str(events))
        for line in kept:
            self._mirror(line)

    def write(self, kind: str, step: int, **values: float) -> None:
        """Add a line of the given kind, measured after `step` steps."""
        line = {"kind": kind, "step": step, **values}
        self._file.write(json.dumps(line) + "\n")
        self._mirror(line)

    def flush(self) -> None:
        """Hand every line to the disk."""
        self._file.flush()
        os.fsync(self._file.fileno())
        self._events.flush()

    def close(self) -> None:
        """Flush and close the files."""
        self.flush()
        self._file.close()
        self._events.close()

    def _mirror(self, line: dict[str, Any]) -> None:
        for name, value in line.items():
            if name not in ("kind", "step"):
                self._events.add_scalar(f"{line['kind']}/{name}", value, line["step"])


def read_metrics(path: Path) -> list[dict[str, Any]]:
    """The lines of a `metrics.jsonl`; a last line that was cut short is left out, and so is a missing file."""
    lines = []
    for text in path.read_text().splitlines() if path.exists() else []:
        try:
            lines.append(json.loads(text))
        except json.JSONDecodeError:
            break
    return lines
