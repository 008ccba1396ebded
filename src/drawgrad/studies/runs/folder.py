"""The folder of a run: where everything is, and whether a run may start or continue there."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, fields, replace
from pathlib import Path

from drawgrad.studies.tasks.autoencoder.config import TrainConfig, option_name
from drawgrad.studies.files import write_atomically

__all__ = ["RunFolder", "RunFolderError"]


class RunFolderError(ValueError):
    """The folder cannot take this run."""


@dataclass(frozen=True)
class RunFolder:
    """The files of a run below `root`."""

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

    def begin(self, config: TrainConfig) -> None:
        """Start a run here.

        Raises:
            RunFolderError: If there is a run already, or the folder cannot be made.
        """
        if self.config.exists():
            raise RunFolderError(
                f"{self.root} already holds a run; continue it with --resume, or give another folder with --out"
            )
        try:
            self.root.mkdir(parents=True, exist_ok=True)
            write_atomically(self.config, config.to_json())
        except OSError as error:
            raise RunFolderError(f"{self.root} cannot be written ({error}); give another folder with --out") from error

    def resume(self, config: TrainConfig, given: Collection[str]) -> TrainConfig:
        """Take up the run that is here, or start it if there is none.

        Args:
            config: The settings asked for, used for a new run.
            given: The settings that were asked for explicitly: they must agree with those of the run.

        Returns:
            The settings of the run.

        Raises:
            RunFolderError: If a given setting differs from the run's, or the folder cannot be made.
        """
        if not self.config.exists():
            self.begin(config)
            return config
        saved = TrainConfig.read(self.config)
        moved = {}
        for setting in fields(TrainConfig):
            if setting.name not in given:
                continue
            before, asked = getattr(saved, setting.name), getattr(config, setting.name)
            if setting.metadata["moves"]:
                moved[setting.name] = asked
            elif before != asked:
                option = option_name(setting.name)
                raise RunFolderError(
                    f"{option} is {asked}, but the run in {self.root} has {before}; "
                    f"leave out {option}, or start in another folder with --out"
                )
        return replace(saved, **moved)
