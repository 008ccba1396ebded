"""Checkpoints that survive a kill at any moment: written whole or not at all, read without running code."""

from __future__ import annotations

import io
import re
import warnings
from pathlib import Path
from typing import Any

import torch

from drawgrad.studies.files import write_atomically

__all__ = ["CheckpointError", "Checkpoints"]

NAME = re.compile(r"step-(\d{9})\.pt")


class CheckpointError(RuntimeError):
    """There are checkpoints, but none can be read."""


class Checkpoints:
    """The newest checkpoints of a run, in a folder of their own.

    Args:
        folder: Where they are; made when the first one is saved.
        keep: How many to keep: more than one, so that a damaged one has a predecessor.
    """

    def __init__(self, folder: Path, keep: int = 3) -> None:
        self.folder = folder
        self.keep = keep

    def save(self, step: int, state: dict[str, Any]) -> Path:
        """Write the state after `step` steps, and delete checkpoints beyond the newest ones."""
        self.folder.mkdir(parents=True, exist_ok=True)
        path = self.folder / f"step-{step:09d}.pt"
        content = io.BytesIO()
        torch.save(state, content)
        write_atomically(path, content.getvalue())
        for old in self.paths()[self.keep :]:
            old.unlink(missing_ok=True)
        return path

    def paths(self) -> list[Path]:
        """The checkpoints, the newest first. Files that were being written when a process died are not among them."""
        found = self.folder.glob("step-*.pt") if self.folder.is_dir() else []
        return sorted((path for path in found if NAME.fullmatch(path.name)), reverse=True)

    def load_newest(self) -> dict[str, Any] | None:
        """Read the newest checkpoint that can be read; a damaged one is skipped with a warning.

        Returns:
            The state, its tensors on the CPU, or None if there is no checkpoint.

        Raises:
            CheckpointError: If there are checkpoints, but none can be read.
        """
        paths = self.paths()
        for path in paths:
            try:
                return torch.load(path, map_location="cpu", weights_only=True)
            # A damaged archive fails in many ways: zip, pickle, end of file, missing record.
            except Exception as error:
                reason = str(error).splitlines()[0] if str(error) else type(error).__name__
                warnings.warn(f"{path} is damaged and is skipped ({reason})", RuntimeWarning, stacklevel=2)
        if paths:
            raise CheckpointError(
                f"none of the {len(paths)} checkpoints in {self.folder} can be read; "
                "delete the folder to start this run again from its first step"
            )
        return None
