"""The settings of a training run: a dataclass that is also the command line and the file `config.json`."""

from __future__ import annotations

import dataclasses
import json
import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

__all__ = ["ConfigError", "TrainConfig", "option_name"]

VARIABLES = {"categorical": 20, "bernoulli": 200, "gaussian": 20}
EPOCHS = {"digits": 400, "mnist": 100, "binarized-mnist": 100}


class ConfigError(ValueError):
    """A setting that breaks its rule.

    Args:
        message: Value, rule and cure, written to follow the name of the setting.
        setting: The name of the setting, if it is one setting that is wrong.
    """

    def __init__(self, message: str, setting: str | None = None) -> None:
        """Remember the setting apart, so that a command line can name its own option."""
        super().__init__(f"{setting} {message}" if setting else message)
        self.message = message
        self.setting = setting


def option_name(setting: str) -> str:
    """The command-line option of a setting.

    Example:
        >>> option_name("batch_size")
        '--batch-size'
    """
    return "--" + setting.replace("_", "-")


def _setting(
    default: Any,
    group: str,
    text: str,
    *,
    choices: tuple[str, ...] | None = None,
    low: float | None = None,
    positive: bool = False,
    high: float | None = None,
    moves: bool = False,
) -> Any:
    """A field with what the command line and the checks need to know.

    Args:
        default: Its value where none is given.
        group: The heading of the help text that it stands below.
        text: What it means.
        choices: The words it may be.
        low: The smallest value allowed.
        positive: Whether it must be above zero.
        high: The largest value allowed.
        moves: Whether it may change when a run is resumed, because the result does not depend on it.
    """
    rule = {
        "group": group,
        "help": text,
        "choices": choices,
        "low": low,
        "positive": positive,
        "high": high,
        "moves": moves,
    }
    return field(default=default, metadata=rule)


@dataclass(frozen=True)
class TrainConfig:
    """What defines a training run: two runs with equal settings on one machine end with the same weights.

    A setting of None is chosen from the others; :meth:`resolved` fills it in.

    Raises:
        ConfigError: If a setting breaks its rule.

    Example:
        >>> TrainConfig(latent="bernoulli").resolved(train_images=1399).variables
        200
    """

    data: str = _setting("digits", "Data", "images to train on", choices=("digits", "mnist", "binarized-mnist"))
    data_dir: str | None = _setting(
        None, "Data", "folder with the data files, instead of a download into a cache", moves=True
    )
    batch_size: int = _setting(100, "Data", "images a step", low=1)

    latent: str = _setting(
        "categorical", "Model", "what the code of an image is made of", choices=("categorical", "bernoulli", "gaussian")
    )
    variables: int | None = _setting(None, "Model", "latent variables  [default: 20; 200 for bernoulli]", low=1)
    categories: int = _setting(10, "Model", "classes of a categorical variable", low=2)
    hidden: int = _setting(200, "Model", "units of the hidden layer on either side", low=1)
    prior: str = _setting("learned", "Model", "prior of the code", choices=("learned", "uniform"))

    hard: bool = _setting(False, "Gradient", "straight-through: hard samples forward, relaxed ones backward")
    tau: float = _setting(1.0, "Gradient", "temperature at the start", positive=True)
    tau_min: float = _setting(0.5, "Gradient", "lowest temperature", positive=True)
    tau_rate: float | None = _setting(
        None, "Gradient", "decay of the temperature a step  [default: reaches the lowest after 3/4 of the run]", low=0.0
    )
    tau_every: int = _setting(100, "Gradient", "steps between changes of the temperature", low=1)
    kl_warmup: int = _setting(0, "Gradient", "steps over which the weight of the KL grows from 0 to 1", low=0)
    free_bits: float = _setting(0.0, "Gradient", "nats of KL a latent variable may spend for free", low=0.0)

    optimizer: str = _setting("adam", "Optimization", "update rule", choices=("adam", "sgd"))
    lr: float = _setting(1e-3, "Optimization", "learning rate", positive=True)
    momentum: float = _setting(0.9, "Optimization", "momentum of sgd", low=0.0, high=1.0)
    epochs: int | None = _setting(
        None,
        "Optimization",
        f"passes over the images  [default: {EPOCHS['digits']} for digits, {EPOCHS['mnist']} else]",
        low=1,
    )
    seed: int = _setting(0, "Optimization", "seed of all randomness", low=0, high=2**63 - 1)

    test_samples: int = _setting(1000, "Measurement", "samples an image for the bound on the test set", low=1)
    checkpoint_every: int = _setting(500, "Measurement", "steps between checkpoints", low=1)

    device: str = _setting("cpu", "Machine", "torch device: cpu, cuda, cuda:1, ...")
    threads: int | None = _setting(None, "Machine", "threads on the CPU  [default: torch's choice]", low=1)

    def __post_init__(self) -> None:
        for setting in dataclasses.fields(self):
            _check(setting, getattr(self, setting.name))
        if self.tau_min > self.tau:
            raise ConfigError(
                f"must not be above tau, but it is {self.tau_min} and tau is {self.tau}; lower it or raise tau",
                "tau_min",
            )

    def resolved(self, train_images: int) -> TrainConfig:
        """The same settings with every None that depends on other settings filled in."""
        epochs = self.epochs or EPOCHS[self.data]
        steps = epochs * math.ceil(train_images / self.batch_size)
        rate = math.log(self.tau / self.tau_min) / (0.75 * steps) if self.tau_rate is None else self.tau_rate
        return dataclasses.replace(
            self, epochs=epochs, tau_rate=rate, variables=self.variables or VARIABLES[self.latent]
        )

    def to_json(self) -> str:
        """The settings as the text of `config.json`."""
        return json.dumps(dataclasses.asdict(self), indent=2) + "\n"

    @classmethod
    def from_json(cls, text: str) -> TrainConfig:
        """The settings that :meth:`to_json` wrote.

        Raises:
            ConfigError: If the text is not such a file.
        """
        try:
            values = json.loads(text)
            return cls(**values)
        except (json.JSONDecodeError, TypeError) as error:
            raise ConfigError(f"the settings cannot be read ({error})") from error

    @classmethod
    def read(cls, path: Path) -> TrainConfig:
        """The settings in a file that :meth:`to_json` wrote."""
        try:
            return cls.from_json(path.read_text())
        except ConfigError as error:
            raise ConfigError(f"{path}: {error}; restore the file, or start in another folder") from error


def _check(setting: dataclasses.Field[Any], value: Any) -> None:
    rule = setting.metadata
    if value is None:
        if setting.default is not None:
            raise ConfigError("must be given, but it is None; leave it out for its default", setting.name)
        return
    if rule["choices"] and value not in rule["choices"]:
        raise ConfigError(f"must be one of {', '.join(rule['choices'])}, but it is {value!r}; choose one", setting.name)
    if rule["positive"] and not (value > 0 and math.isfinite(value)):
        raise ConfigError(f"must be positive and finite, but it is {value}; try {setting.default}", setting.name)
    if rule["low"] is not None and not (value >= rule["low"] and math.isfinite(value)):
        example = rule["low"] if setting.default is None else setting.default
        raise ConfigError(f"must be at least {rule['low']}, but it is {value}; try {example}", setting.name)
    if rule["high"] is not None and not value <= rule["high"]:
        raise ConfigError(f"must be at most {rule['high']}, but it is {value}; try {setting.default}", setting.name)
