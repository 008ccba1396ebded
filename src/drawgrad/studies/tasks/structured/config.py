"""The settings of structured output prediction."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from drawgrad.studies.runs.settings import Between, setting
from drawgrad.studies.tasks.autoencoder.config import (
    BoundSettings,
    CodeSettings,
    DataSettings,
    GradientSettings,
    MachineSettings,
    MeasurementSettings,
    OptimizationSettings,
    with_usual,
)

__all__ = ["LayersSettings", "StructuredConfig", "configure"]

USUAL: dict[str, Any] = {
    "data": "binarized-mnist", "variables": 20, "epochs": 40, "lr": 1e-3, "tau": 1.0, "tau_min": 1.0,
}  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class LayersSettings(CodeSettings):
    """What is trained."""

    layers: int = setting("layers of latent variables", Between(1, 100, example=2), default=2)


@dataclass(frozen=True, kw_only=True)
class StructuredConfig:
    """What defines a training run: two runs with equal settings on one machine end with the same weights."""

    data: DataSettings
    model: LayersSettings
    gradient: GradientSettings
    objective: BoundSettings
    optimization: OptimizationSettings
    measurement: MeasurementSettings
    machine: MachineSettings


def configure(**given: Any) -> StructuredConfig:
    """The settings that were given, by name, and the usual ones for all others.

    Raises:
        SettingError: If a setting breaks its rule.

    Example:
        >>> configure(latent="bernoulli", variables=200).model.layers
        2
    """
    return with_usual(StructuredConfig, USUAL, given)
