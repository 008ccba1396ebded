"""A ledger: jobs that are finished, a line each in one file, so that a record can be taken up on another machine."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from drawgrad.studies.engine.jobs import Job, Outcome, key_of
from drawgrad.studies.files import held, write_atomically

__all__ = ["Ledger", "LedgerError"]

FIELDS = {"job", "key", "settings", "seconds", "result", "provenance"}
"""Of a line: what `job.json` and `result.json` of the folder of a job hold, and its name."""


class LedgerError(ValueError):
    """A file is no ledger, or is damaged."""


class Ledger:
    """The finished jobs in a file, found by their keys. Lines are only ever added, and never while one is damaged.

    Several processes may add to one file, on a file system that has locks.

    Args:
        path: The file; it need not exist.

    Raises:
        LedgerError: If it holds anything else.
        OSError: If it cannot be read.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lines = _read(path)

    def __len__(self) -> int:
        return len(self._lines)

    @property
    def seeds(self) -> set[int]:
        """Of all jobs."""
        return {line["settings"]["seed"] for line in self._lines.values()}

    def earlier(self, job: Job, root: Path) -> Outcome | None:
        """How a job ended, whatever its name was then; None if the ledger does not hold it.

        Args:
            job: The job.
            root: The folder of the folders of jobs.
        """
        line = self._lines.get(job.key)
        if line is None:
            return None
        return Outcome(
            job, root / job.name, line["seconds"], line["result"], earlier=True, recorded=True,
            origin=line["provenance"],
        )  # fmt: skip

    def add(self, outcome: Outcome) -> None:
        """Add a job that was finished, unless it is there.

        Raises:
            LedgerError: If the file was damaged meanwhile.
            OSError: If it cannot be written.
        """
        job = outcome.job
        if outcome.result is None or job.key in self._lines:
            return
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with held(self.path.parent):
            # What another process has added since.
            self._lines = _read(self.path)
            if job.key in self._lines:
                return
            line = {"job": job.name, "key": job.key, "settings": job.settings(), "seconds": outcome.seconds,
                    "result": outcome.result, "provenance": outcome.origin}  # fmt: skip
            text = json.dumps(line, allow_nan=False)
            there = self.path.read_text(encoding="utf-8") if self.path.exists() else ""
            end = "" if there.endswith("\n") or not there else "\n"
            write_atomically(self.path, f"{there}{end}{text}\n")
            self._lines[job.key] = json.loads(text)


def _read(path: Path) -> dict[str, dict[str, Any]]:
    """The lines of a file by key, the first one where there are several."""
    try:
        text = path.read_bytes().decode()
    except FileNotFoundError:
        return {}
    except UnicodeDecodeError as error:
        raise LedgerError(f"{path} is no ledger of jobs: {error}; restore it, or take another folder") from error
    found: dict[str, dict[str, Any]] = {}
    for number, content in enumerate(text.removesuffix("\n").split("\n") if text else [], 1):
        try:
            line = json.loads(content)
            whole = isinstance(line, dict) and line.keys() >= FIELDS and line["key"] == key_of(line["settings"])
        except ValueError:
            whole = False
        if not whole:
            raise LedgerError(f"{path}, line {number}, is no finished job, or was changed; restore the file")
        found.setdefault(line["key"], line)
    return found
