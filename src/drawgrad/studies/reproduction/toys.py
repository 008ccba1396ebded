"""Recipes of problems so small that many runs of one seed are trained at once, on their exact expected cost."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self, TypeVar

from drawgrad.studies.exhibits.coin import contestants, train_coin
from drawgrad.studies.exhibits.curves import Curves
from drawgrad.studies.exhibits.polynomial import ESTIMATORS, train_polynomial
from drawgrad.studies.reproduction.recipes import CellRecipe, Listener
from drawgrad.studies.runs.settings import Among, Between, SettingError, SettingsChecked, assemble, setting

__all__ = ["CoinConfig", "PolynomialConfig", "TrainCoin", "TrainPolynomial"]

Config = TypeVar("Config")
COUNT = Between(2, 10**9, example=10)
RATE = Between(1e-38, 1e38, example=0.01)


@dataclass(frozen=True, kw_only=True)
class ToyConfig(SettingsChecked):
    """What these problems share."""

    steps: int = setting("steps of Adam", COUNT, default=1000)
    runs: int = setting("independent runs that are trained at once", COUNT)
    lr: float = setting("learning rate", RATE, default=0.01)
    seed: int = setting("of all randomness", Between(0, 2**63 - 1, example=0))


@dataclass(frozen=True, kw_only=True)
class CoinConfig(ToyConfig):
    """One coin with cost (b - t)^2."""

    gradient: str = setting("who is trained", Among(tuple(contestants((1, 1)))))
    target: float = setting("t", Between(0.0, 1.0, example=0.49))


@dataclass(frozen=True, kw_only=True)
class PolynomialConfig(ToyConfig):
    """128 binary variables with cost |b - t|^p."""

    gradient: str = setting("who is trained", Among(tuple(ESTIMATORS)))
    power: float = setting("p", Between(1.0, 100.0, example=2.0))
    batch: int = setting("samples a step", COUNT)


class Toy(CellRecipe):
    """A recipe that needs no data, and finds the mean over its runs with its standard error."""

    @property
    def data(self) -> None:
        """None."""
        return

    def lasting(self, steps: int) -> Self:
        """The recipe with so many steps; two at least."""
        return self.changed(steps=max(2, steps))


def _configured(cls: type[Config], settings: Mapping[str, Any], seed: int) -> Config:
    if "device" in settings:
        raise SettingError("has no part in this table, whose runs take seconds on a CPU; leave it out", "device")
    return assemble(cls, {**settings, "seed": seed})


def _found(curves: Curves) -> dict[str, Any]:
    return {"value": curves.final.value, "error": curves.final.error, "runs": curves.values.shape[1]}


class TrainCoin(Toy):
    """Trains coins; `value` is how much of the way from a fair coin's cost to the least one is done, 1 for all."""

    def config(self, seed: int) -> CoinConfig:
        return _configured(CoinConfig, self.settings, seed)

    def evaluations(self) -> int:
        return contestants((1, 1))[self.config(0).gradient].estimator.evaluations(2, 1)

    def run(self, seed: int, folder: Path, listener: Listener) -> dict[str, Any]:
        config = self.config(seed)
        listener("training")
        contestant = contestants((1, config.runs), seed)[config.gradient]
        curves = train_coin(
            contestant, [config.target], steps=config.steps, runs=config.runs, lr=config.lr, every=config.steps,
            seed=seed,
        )  # fmt: skip
        return _found(curves[config.target].progress)


class TrainPolynomial(Toy):
    """Trains 128 binary variables; `value` is the expected cost at the end."""

    def config(self, seed: int) -> PolynomialConfig:
        return _configured(PolynomialConfig, self.settings, seed)

    def evaluations(self) -> int:
        """Samples a step; the exact gradient has two, all zeros and all ones, because the cost is a sum."""
        config = self.config(0)
        estimator = ESTIMATORS[config.gradient]
        return 2 if estimator is None else config.batch * estimator.evaluations(2, 1)

    def run(self, seed: int, folder: Path, listener: Listener) -> dict[str, Any]:
        config = self.config(seed)
        listener("training")
        curves = train_polynomial(
            ESTIMATORS[config.gradient], config.power, steps=config.steps, runs=config.runs, batch=config.batch,
            lr=config.lr, every=config.steps, seed=seed,
        )  # fmt: skip
        return _found(curves)
