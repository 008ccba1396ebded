"""The settings of a training run: a dataclass that is also the command line and the file `config.json`."""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Collection
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

__all__ = ["ConfigError", "TrainConfig", "option_name"]

# At a higher temperature the decoder of these small images learns to read the shades of relaxed samples, which hard
# ones do not have.
SMALL = {"epochs": 400, "lr": 3e-3, "tau": 0.5, "tau_min": 0.2}
LARGE = {"epochs": 100, "lr": 1e-3, "tau": 1.0, "tau_min": 0.5}
# Many weak variables all fall silent under the full KL before they have learned to say anything.
BERNOULLI = {"variables": 200, "kl_warmup": 2000}
OTHERS = {"variables": 20, "kl_warmup": 0}
USUAL: dict[str, dict[str, dict[str, Any]]] = {
    "data": {"digits": SMALL, "mnist": LARGE, "binarized-mnist": LARGE},
    "latent": {"categorical": OTHERS, "bernoulli": BERNOULLI, "gaussian": OTHERS},
}
"""What suits a data set, found on its validation images, and a kind of code: it fills in what is not given."""


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
    only: tuple[str, tuple[str, ...]] | None = None,
    metavar: str = "TEXT",
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
        only: Another setting, and the words of it with which this one has a part in the run.
        metavar: What the help text calls a value that is a text.
    """
    rule = {
        "group": group,
        "help": text,
        "choices": choices,
        "low": low,
        "positive": positive,
        "high": high,
        "moves": moves,
        "only": only,
        "metavar": metavar,
    }
    return field(default=default, metadata=rule)


RELAXED = ("latent", ("categorical", "bernoulli"))


def _usual(name: str) -> str:
    first, case, other = (SMALL, "digits", LARGE) if name in SMALL else (BERNOULLI, "bernoulli", OTHERS)
    return f"[default: {first[name]} for {case}, {other[name]} else]"


@dataclass(frozen=True)
class TrainConfig:
    """What defines a training run: two runs with equal settings on one machine end with the same weights.

    What is not given is filled in from what suits the data and the kind of code.

    Raises:
        ConfigError: If a setting breaks its rule.

    Example:
        >>> TrainConfig(latent="bernoulli").variables
        200
    """

    data: str = _setting("digits", "Data", "images to train on", choices=tuple(USUAL["data"]))
    data_dir: str | None = _setting(
        None, "Data", "folder with the data files, instead of a download into a cache", moves=True, metavar="DIR"
    )
    batch_size: int = _setting(100, "Data", "images a step", low=1)

    latent: str = _setting(
        "categorical", "Model", "what the code of an image is made of", choices=tuple(USUAL["latent"])
    )
    variables: int = _setting(None, "Model", f"latent variables  {_usual('variables')}", low=1)
    categories: int = _setting(
        10, "Model", "classes of a categorical variable", low=2, only=("latent", ("categorical",))
    )
    hidden: int = _setting(200, "Model", "units of the hidden layer on either side", low=1)
    prior: str = _setting("learned", "Model", "prior of the code", choices=("learned", "uniform"))

    hard: bool = _setting(
        False, "Gradient", "straight-through: hard samples forward, relaxed ones backward", only=RELAXED
    )
    estimator: str | None = _setting(
        None,
        "Gradient",
        "gradient estimator, such as ReinMax, whose temperature stays at 1 unless --tau says otherwise  "
        "[default: relaxed samples, or straight-through with --hard]",
        metavar="NAME",
    )
    samples: int | None = _setting(
        None, "Gradient", "samples an image and step, with --estimator  [default: its own number]", low=1
    )
    baseline: str | None = _setting(
        None,
        "Gradient",
        "baseline of --estimator Reinforce  [default: moving-average]",
        choices=("none", "moving-average", "nvil"),
    )
    tau: float = _setting(None, "Gradient", f"temperature at the start  {_usual('tau')}", positive=True, only=RELAXED)
    tau_min: float = _setting(None, "Gradient", f"lowest temperature  {_usual('tau_min')}", positive=True, only=RELAXED)
    tau_rate: float | None = _setting(
        None,
        "Gradient",
        "decay of the temperature a step  [default: reaches the lowest after 3/4 of the run]",
        low=0.0,
        only=RELAXED,
    )
    tau_every: int = _setting(100, "Gradient", "steps between changes of the temperature", low=1, only=RELAXED)
    kl_warmup: int = _setting(
        None, "Gradient", f"steps over which the weight of the KL grows from 0 to 1  {_usual('kl_warmup')}", low=0
    )
    free_bits: float = _setting(0.0, "Gradient", "nats of KL a latent variable may spend for free", low=0.0)

    optimizer: str = _setting("adam", "Optimization", "update rule", choices=("adam", "sgd"))
    lr: float = _setting(None, "Optimization", f"learning rate  {_usual('lr')}", positive=True)
    momentum: float = _setting(0.9, "Optimization", "momentum of sgd", low=0.0, high=1.0, only=("optimizer", ("sgd",)))
    epochs: int = _setting(None, "Optimization", f"passes over the images  {_usual('epochs')}", low=1)
    seed: int = _setting(0, "Optimization", "seed of all randomness", low=0, high=2**63 - 1)

    test_samples: int = _setting(1000, "Measurement", "samples an image for the bound on the test set", low=1)
    checkpoint_every: int = _setting(500, "Measurement", "steps between checkpoints", low=1)

    device: str = _setting("cpu", "Machine", "torch device: cpu, cuda, cuda:1, ...", metavar="NAME")
    # A second thread hardly shortens steps this small, and lengthens them a lot where others want its core.
    threads: int = _setting(1, "Machine", "threads on the CPU while training; the measurement uses all", low=1)

    def __post_init__(self) -> None:
        settings = {setting.name: setting for setting in dataclasses.fields(self)}
        self._keep_temperature()
        for name, suits in USUAL.items():
            _check(settings[name], getattr(self, name))
            for other, value in suits[getattr(self, name)].items():
                if getattr(self, other) is None:
                    object.__setattr__(self, other, self._bounded(other, value))
        for setting in settings.values():
            _check(setting, getattr(self, setting.name))
        if self.tau_min > self.tau:
            raise ConfigError(
                f"must not be above tau, but it is {self.tau_min} and tau is {self.tau}; lower it or raise tau",
                "tau_min",
            )

    def _keep_temperature(self) -> None:
        """Keep the temperature of an estimator that shows the decoder hard samples, which have no shades."""
        if self.estimator in (None, "GumbelSoftmax"):
            return
        if self.tau is None:
            object.__setattr__(self, "tau", max(1.0, self.tau_min or 0.0))
        if self.tau_min is None:
            object.__setattr__(self, "tau_min", self.tau)

    def _bounded(self, name: str, value: Any) -> Any:
        """A usual value that gives way to a temperature that was given."""
        match name:
            case "tau" if self.tau_min is not None:
                return max(value, self.tau_min)
            case "tau_min":
                return min(value, self.tau)
            case _:
                return value

    def check_parts(self, given: Collection[str]) -> None:
        """Refuse a setting that was given but has no part in this run.

        Raises:
            ConfigError: If there is one.
        """
        for setting in dataclasses.fields(self):
            if setting.name in given and setting.metadata["only"]:
                other, words = setting.metadata["only"]
                if getattr(self, other) not in words:
                    raise ConfigError(
                        f"has no part in a run with {option_name(other)} {getattr(self, other)}, "
                        f"only with {' or '.join(words)}; leave it out",
                        setting.name,
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
        return
    if rule["choices"] and value not in rule["choices"]:
        raise ConfigError(f"must be one of {', '.join(rule['choices'])}, but it is {value!r}; choose one", setting.name)
    examples = (setting.default, (LARGE | OTHERS).get(setting.name), rule["low"])
    example = next((number for number in examples if number is not None), None)
    if rule["positive"] and not (value > 0 and math.isfinite(value)):
        raise ConfigError(f"must be positive and finite, but it is {value}; try {example}", setting.name)
    if rule["low"] is not None and not (value >= rule["low"] and math.isfinite(value)):
        raise ConfigError(f"must be at least {rule['low']}, but it is {value}; try {example}", setting.name)
    if rule["high"] is not None and not value <= rule["high"]:
        raise ConfigError(f"must be at most {rule['high']}, but it is {value}; try {example}", setting.name)
