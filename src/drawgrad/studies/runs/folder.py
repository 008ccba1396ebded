"""The folder of a run: where everything is, and whether a run may start or continue there."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from drawgrad.studies.files import lock, write_atomically
from drawgrad.studies.runs.checkpoints import Checkpoints
from drawgrad.studies.runs.journal import EVENTS, Journal
from drawgrad.studies.runs.settings import (
    SettingError,
    assemble,
    digest,
    option_name,
    read_settings,
    settings_of,
    to_json,
    values_of,
)

__all__ = ["RunFolder", "RunFolderError"]

Config = TypeVar("Config")


class RunFolderError(ValueError):
    """The folder cannot take this run."""


@dataclass(frozen=True)
class RunFolder:
    """The files of a run below `root`. Nothing else there is ever touched."""

    root: Path

    @property
    def config(self) -> Path:
        """The settings."""
        return self.root / "config.json"

    @property
    def metrics(self) -> Path:
        """What was measured while it ran, one line of JSON each."""
        return self.root / "metrics.jsonl"

    @property
    def events(self) -> Path:
        """The same for TensorBoard."""
        return self.root / "tensorboard"

    @property
    def checkpoints(self) -> Path:
        """The newest checkpoints."""
        return self.root / "checkpoints"

    @property
    def results(self) -> Path:
        """What came out in the end."""
        return self.root / "results.json"

    @property
    def figure(self) -> Path:
        """The picture of the run."""
        return self.root / "figure.png"

    @property
    def failure(self) -> Path:
        """Why the run cannot go on, if it cannot."""
        return self.root / "failure.txt"

    def saved(self, config: object) -> Checkpoints:
        """The checkpoints of a run with these settings."""
        return Checkpoints(self.checkpoints, digest(config))

    def journal(self, step: int) -> Journal:
        """The record of measurements, open for those after a step."""
        return Journal(self.metrics, self.events, step)

    @contextmanager
    def held(self) -> Iterator[None]:
        """Make the folder, and keep other processes from it meanwhile; if it was made for nothing, it is removed.

        Raises:
            RunFolderError: If another process has it, or it cannot be made.
        """
        try:
            made = not self.root.exists()
            self.root.mkdir(parents=True, exist_ok=True)
            handle = lock(self.root)
        except BlockingIOError as error:
            raise RunFolderError(
                f"another process is training in {self.root}; wait for its end, or give another folder with --out"
            ) from error
        except FileExistsError as error:
            raise RunFolderError(f"{self.root} is a file, not a folder; give another one with --out") from error
        except OSError as error:
            raise RunFolderError(
                f"{self.root} cannot be written ({error.strerror}); give another folder with --out"
            ) from error
        try:
            yield
        finally:
            if handle is not None:
                os.close(handle)
            if made:
                with suppress(OSError):  # Unless it is empty, it stays.
                    self.root.rmdir()

    def begin(self, config: object) -> None:
        """Start a run here, in place of one that failed or that has not saved a step yet.

        Raises:
            RunFolderError: If there is a run that can go on or is finished, or if anything else is in the folder.
            OSError: If the folder cannot be written.
        """
        # A process that was killed while it wrote its settings leaves the last name, and has nothing to keep.
        found = sorted(path.name for path in self.root.iterdir() if path.name != f".{self.config.name}.part")
        if self.config.name in found:
            self._check_replaceable(type(config))
            self._clear()
        elif found:
            raise RunFolderError(
                f"{self.root} holds no run, but other files ({_some(found)}); give a new or an empty folder with --out"
            )
        write_atomically(self.config, to_json(config))

    def resume(self, config: Config, given: Collection[str]) -> Config:
        """Take up the run that is here.

        Args:
            config: The settings asked for.
            given: The settings that were asked for explicitly: they must agree with those of the run.

        Returns:
            The settings of the run.

        Raises:
            RunFolderError: If there is no run, if it failed, or if a given setting differs from the run's.
            SettingError: If its settings cannot be read.
            OSError: If they cannot be read for another reason.
        """
        if not self.config.exists():
            raise RunFolderError(
                f"there is no run in {self.root}; correct --out, or leave out --resume to start one there"
            )
        saved = values_of(read_settings(type(config), self.config))
        asked = values_of(config)
        for name, each in settings_of(type(config)).items():
            if name not in given or asked[name] == saved[name]:
                continue
            if not each.moves:
                option = option_name(name)
                raise RunFolderError(
                    f"{option} is {asked[name]}, but the run in {self.root} has {saved[name]}; "
                    f"leave out {option}, or start in another folder with --out"
                )
            saved[name] = asked[name]
        if self.failure.exists():
            reason = self.failure.read_text(encoding="utf-8", errors="replace").strip()
            raise RunFolderError(
                f"the run in {self.root} failed: {reason}; start again there with other settings and without --resume"
            )
        return assemble(type(config), saved)

    def fail(self, reason: str) -> None:
        """Note that the run cannot go on, so that another one may take its place."""
        write_atomically(self.failure, reason + "\n")

    def _check_replaceable(self, kind: type) -> None:
        """Refuse to replace what is not a run of this kind, and a run that has something to keep."""
        try:
            read_settings(kind, self.config)
        except SettingError as error:
            raise RunFolderError(
                f"{self.config} does not hold the settings of such a run; give another folder with --out"
            ) from error
        kept = self.results.exists() or any(Checkpoints(self.checkpoints, "").paths())
        if kept and not self.failure.exists():
            raise RunFolderError(
                f"{self.root} already holds a run; continue it with --resume, or give another folder with --out"
            )

    def _clear(self) -> None:
        """Delete the files of a run, the settings last: without them the folder would be nobody's."""
        files = [self.metrics, self.results, self.figure, self.failure]
        files += [*self.events.glob(EVENTS), *Checkpoints(self.checkpoints, "").paths(), self.config]
        for path in files:
            path.unlink(missing_ok=True)


def _some(names: list[str]) -> str:
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
