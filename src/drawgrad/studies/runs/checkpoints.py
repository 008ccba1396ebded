"""Checkpoints that survive a kill at any moment: written whole or not at all, checked, read without running code."""

from __future__ import annotations

import io
import pickle
import re
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from drawgrad.studies.files import write_atomically

__all__ = ["CheckpointError", "Checkpoints"]

NAME = re.compile(r"step-(\d{9,})\.pt")


class CheckpointError(RuntimeError):
    """There are checkpoints, but a run cannot go on from any of them."""


class Checkpoints:
    """The newest checkpoints of a run, in a folder of their own.

    Args:
        folder: Where they are; made when the first one is saved.
        settings: A fingerprint of the run's settings, which every checkpoint carries.
        keep: How many to keep: more than one, so that a damaged one has a predecessor.
    """

    def __init__(self, folder: Path, settings: str, keep: int = 3) -> None:
        self.folder = folder
        self.settings = settings
        self.keep = keep

    def save(self, step: int, state: dict[str, Any]) -> Path:
        """Write the state after `step` steps, and delete checkpoints beyond the newest ones.

        Raises:
            OSError: If it cannot be written.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        path = self.folder / f"step-{step:09d}.pt"
        # Through memory, because torch does not tell why a file could not be written.
        content = io.BytesIO()
        torch.save(state | {"settings": self.settings}, content)
        write_atomically(path, content.getvalue())
        for old in self.paths()[self.keep :]:
            old.unlink(missing_ok=True)
        return path

    def paths(self) -> list[Path]:
        """The checkpoints, the newest first. Files that were being written when a process died are not among them."""
        found = {}
        for path in self.folder.iterdir() if self.folder.exists() else ():
            named = NAME.fullmatch(path.name)
            if named:
                found[int(named[1])] = path
        return [found[step] for step in sorted(found, reverse=True)]

    def restore(self, take: Callable[[dict[str, Any]], None]) -> bool:
        """Hand the newest checkpoint that serves to `take`; one that does not is skipped with a warning.

        Args:
            take: Takes up the state, whose tensors are on the CPU. It may raise for a state that lacks what it needs,
                and is handed the one before then.

        Returns:
            Whether there was one; False if there is no checkpoint at all.

        Raises:
            CheckpointError: If there are checkpoints, but none serves, or the newest is of other settings.
        """
        paths = self.paths()
        for path in paths:
            try:
                saved = _load(path)
                if saved["settings"] != self.settings:
                    raise CheckpointError(
                        f"{path} was saved by a run with other settings; restore the settings of this folder, go on "
                        "with the version of drawgrad that saved it, or start in another folder"
                    )
                take(saved)
                return True
            except CheckpointError:
                raise
            except _Damaged as error:
                reason = str(error)
            # What torch raises for states with other keys and shapes.
            except (KeyError, TypeError, ValueError, AttributeError, IndexError, RuntimeError) as error:
                reason = f"it does not hold what this run needs: {_in_short(error)}"
            warnings.warn(f"{path} is damaged and is skipped ({reason})", RuntimeWarning, stacklevel=2)
        if paths:
            raise CheckpointError(
                f"none of the {len(paths)} checkpoints in {self.folder} can be read; "
                "delete the folder to start this run again from its first step"
            )
        return False


class _Damaged(Exception):
    """A file is no checkpoint, with the reason."""


def _load(path: Path) -> dict[str, Any]:
    content = path.read_bytes()
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            # torch does not compare the checksums that it writes.
            wrong = archive.testzip()
        if wrong is not None:
            raise _Damaged(f"the checksum of {wrong} is wrong")
        return torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        # torch would advise to run whatever is in the file.
        raise _Damaged("it holds something other than tensors and numbers") from error
    except _Damaged:
        raise
    # A damaged archive fails in many ways, and each library has its own error for it.
    except Exception as error:
        raise _Damaged(f"it is not whole: {_in_short(error)}") from error


def _in_short(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[-1] if lines else type(error).__name__
