"""What a run measured while it ran: lines of `metrics.jsonl`, mirrored as TensorBoard events."""

from __future__ import annotations

import io
import json
import os
import time
import warnings
from pathlib import Path
from typing import Any

from drawgrad.studies.files import write_atomically

__all__ = ["EVENTS", "Journal", "read_metrics"]

EVENTS = "events.out.tfevents.*"
"""Names of the files that TensorBoard reads."""


class Journal:
    """Appends measurements to a run. Opening one for a run that was cut short first forgets what lies beyond a step.

    `metrics.jsonl` is the record: the TensorBoard events are written anew from it, so that neither shows a step twice.

    Args:
        metrics: The file of lines.
        events: The folder of TensorBoard's events; what else lies there stays.
        step: The number of steps that are taken already; lines beyond it are deleted.

    Raises:
        OSError: If the files cannot be written, here and at every later call.
    """

    def __init__(self, metrics: Path, events: Path, step: int) -> None:
        kept = [line for line in read_metrics(metrics) if line["step"] <= step]
        if step and not metrics.exists():
            warnings.warn(f"{metrics} is lost: the record begins at step {step}", RuntimeWarning, stacklevel=2)
        write_atomically(metrics, "".join(json.dumps(line) + "\n" for line in kept))
        self._events = _Events(events)
        self._lines = _Appended(metrics)
        for line in kept:
            self._mirror(line)

    def write(self, kind: str, step: int, **values: float) -> None:
        """Add a line of the given kind, measured after `step` steps."""
        line = {"kind": kind, "step": step, **values}
        self._lines.write((json.dumps(line) + "\n").encode())
        self._mirror(line)

    def flush(self) -> None:
        """Hand every line to the disk."""
        self._lines.flush()
        self._events.flush()

    def close(self) -> None:
        """Close the files; every line is with the operating system already."""
        self._lines.close()
        self._events.close()

    def _mirror(self, line: dict[str, Any]) -> None:
        values = {f"{line['kind']}/{name}": value for name, value in line.items() if name not in ("kind", "step")}
        self._events.add(line["step"], values)


class _Appended:
    """A file that grows by whole pieces, without a buffer that a failed write would leave behind."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("ab", buffering=0)

    def write(self, piece: bytes) -> None:
        """Append a piece."""
        while piece:
            try:
                piece = piece[self._file.write(piece) :]
            except OSError as error:
                raise OSError(error.errno, error.strerror, str(self._file.name)) from error

    def flush(self) -> None:
        """Hand it to the disk."""
        os.fsync(self._file.fileno())

    def close(self) -> None:
        """Close it."""
        self._file.close()


class _Events(_Appended):
    """A file of TensorBoard events. Its own writer has a thread, whose errors nobody could answer."""

    def __init__(self, folder: Path) -> None:
        from tensorboard.compat.proto.event_pb2 import Event

        folder.mkdir(parents=True, exist_ok=True)
        for old in folder.glob(EVENTS):
            old.unlink()
        super().__init__(folder / EVENTS.replace("*", f"{time.time():.0f}.{os.getpid()}"))
        self._write_event(Event(wall_time=time.time(), file_version="brain.Event:2"))

    def add(self, step: int, values: dict[str, float]) -> None:
        """Add numbers that were measured after a step."""
        from tensorboard.compat.proto.event_pb2 import Event
        from tensorboard.compat.proto.summary_pb2 import Summary

        found = [Summary.Value(tag=tag, simple_value=value) for tag, value in values.items()]
        self._write_event(Event(wall_time=time.time(), step=step, summary=Summary(value=found)))

    def _write_event(self, event: Any) -> None:
        from tensorboard.summary.writer.record_writer import RecordWriter

        framed = io.BytesIO()
        RecordWriter(framed).write(event.SerializeToString())
        self.write(framed.getvalue())


def read_metrics(path: Path) -> list[dict[str, Any]]:
    """The lines of a `metrics.jsonl`, in order; none for a missing file.

    A last line that was cut short is left out, as a killed process leaves it. Other lines that are damaged are left out
    with a warning.
    """
    texts = path.read_bytes().splitlines() if path.exists() else []
    lines, damaged = [], []
    for number, text in enumerate(texts, 1):
        line = _line(text)
        if line is not None:
            lines.append(line)
        elif number < len(texts):
            damaged.append(number)
    if damaged:
        which = f"line {damaged[0]} of {path}" + (f" and {len(damaged) - 1} more" if len(damaged) > 1 else "")
        warnings.warn(f"{which} cannot be read and is left out", RuntimeWarning, stacklevel=2)
    return lines


def _line(text: bytes) -> dict[str, Any] | None:
    """A line of measurements, or None if it is none."""
    try:
        line = json.loads(text)
        kind, step = line.pop("kind"), line.pop("step")
        values = {name: float(value) for name, value in line.items()}
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return None
    good = isinstance(kind, str) and type(step) is int
    return {"kind": kind, "step": step, **values} if good else None
