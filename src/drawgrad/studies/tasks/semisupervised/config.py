"""The settings of semi-supervised classification."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from drawgrad.studies.runs.settings import Between, SettingError, SettingsChecked, setting
from drawgrad.studies.tasks.autoencoder.config import (
    WIDTH,
    CodeSettings,
    DataSettings,
    GradientSettings,
    MachineSettings,
    MeasurementSettings,
    OptimizationSettings,
    with_usual,
)

__all__ = ["ClassifierSettings", "SemiSupervisedConfig", "SupervisionSettings", "configure"]

USUAL: dict[str, Any] = {
    "data": "mnist", "variables": 1, "epochs": 8, "lr": 1e-3, "lr_end": 0.2, "tau": 1.0, "tau_min": 0.5,
}  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class ClassifierSettings(CodeSettings):
    """What is trained: a class of an image, one categorical variable, and normal variables for all else."""

    normals: int = setting("normal variables beside the class", Between(1, WIDTH, example=32), default=32)
    channels: int = setting(
        "channels of the first convolution; the second has twice as many", Between(1, WIDTH, example=8), default=8
    )
    units: int = setting("units of the layers that are no convolutions", Between(1, WIDTH, example=128), default=128)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.latent != "categorical":
            raise SettingError(f"must be categorical, but it is {self.latent}; leave it out", "latent")
        if self.variables != 1:
            raise SettingError(
                f"must be 1, the class of an image, but it is {self.variables}; leave it out", "variables"
            )


@dataclass(frozen=True, kw_only=True)
class SupervisionSettings(SettingsChecked):
    """What is told of the classes."""

    labels: int = setting("labeled images of each class", Between(1, WIDTH, example=10), default=10)
    labeled_batch: int = setting("labeled images a step", Between(1, WIDTH, example=25), default=25)
    alpha: float = setting(
        "weight of the cross-entropy of a label, beside one for a bound", Between(0.0, 1e6, example=50.0), default=50.0
    )
    augment: bool = setting("turn, stretch and shift the images that the cross-entropy is of", default=True)


@dataclass(frozen=True, kw_only=True)
class SemiSupervisedConfig:
    """What defines a training run: two runs with equal settings on one machine end with the same weights."""

    data: DataSettings
    model: ClassifierSettings
    supervision: SupervisionSettings
    gradient: GradientSettings
    optimization: OptimizationSettings
    measurement: MeasurementSettings
    machine: MachineSettings


def configure(**given: Any) -> SemiSupervisedConfig:
    """The settings that were given, by name, and the usual ones for all others.

    Raises:
        SettingError: If a setting breaks its rule.

    Example:
        >>> configure(estimator="Exact").supervision.labels
        10
    """
    return with_usual(SemiSupervisedConfig, USUAL, given)
