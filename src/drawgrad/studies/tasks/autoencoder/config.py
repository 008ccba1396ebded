"""The settings of an autoencoder and its training, a dataclass for each component."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from drawgrad.studies.runs.settings import Among, Between, Config, SettingError, SettingsChecked, assemble, setting

__all__ = [
    "AutoencoderConfig",
    "BoundSettings",
    "BoundedSettings",
    "CodeSettings",
    "DataSettings",
    "GradientSettings",
    "ImageSettings",
    "LatentSettings",
    "MachineSettings",
    "MeasurementSettings",
    "ModelSettings",
    "ObjectiveSettings",
    "OptimizationSettings",
    "configure",
    "refuse_idle",
    "with_usual",
]

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

WIDTH = 10**6
"""Units, classes or images at most: more are a slip of the finger."""
LENGTH = 10**9
"""Steps or epochs at most."""
TEMPERATURE = Between(1e-6, 1e6, example=1.0)


def _usual(name: str) -> str:
    first, case, other = (SMALL, "digits", LARGE) if name in SMALL else (BERNOULLI, "bernoulli", OTHERS)
    return f"[default: {first[name]} for {case}, {other[name]} else]"


@dataclass(frozen=True, kw_only=True)
class DataSettings(SettingsChecked):
    """What is trained on."""

    data: str = setting("images to train on", Among(tuple(USUAL["data"])), default="digits")
    data_dir: Path | None = setting(  # noqa: RUF009  it makes a field
        "folder with the data files, instead of a download into a cache", default=None, moves=True
    )
    batch_size: int = setting("images a step", Between(1, WIDTH, example=100), default=100)


@dataclass(frozen=True, kw_only=True)
class CodeSettings(SettingsChecked):
    """What the latent variables are."""

    latent: str = setting("what the code of an image is made of", Among(tuple(USUAL["latent"])), default="categorical")
    variables: int = setting(f"latent variables  {_usual('variables')}", Between(1, WIDTH, example=20))
    categories: int = setting("classes of a categorical variable", Between(2, WIDTH, example=10), default=10)


@dataclass(frozen=True, kw_only=True)
class ModelSettings(CodeSettings):
    """What is trained."""

    hidden: int = setting(
        "units of the hidden layer on either side; 0 for none", Between(0, WIDTH, example=200), default=200
    )
    decoder_hidden: int | None = setting(
        "units of the decoder's hidden layer, 0 for none  [default: those of --hidden]",
        Between(0, WIDTH, example=200),
        default=None,
    )
    prior: str = setting("prior of the code", Among(("learned", "uniform")), default="learned")

    @property
    def layers(self) -> tuple[int, int]:
        """Units of the hidden layers of encoder and decoder; 0 where there is none."""
        return self.hidden, self.hidden if self.decoder_hidden is None else self.decoder_hidden


@dataclass(frozen=True, kw_only=True)
class GradientSettings(SettingsChecked):
    """How the gradient for the latent variables is estimated."""

    hard: bool = setting("straight-through: hard samples forward, relaxed ones backward", default=False)
    estimator: str | None = setting(
        "gradient estimator, such as ReinMax, whose temperature stays at 1 unless --tau says otherwise  "
        "[default: relaxed samples, or straight-through with --hard]",
        default=None,
    )
    samples: int | None = setting(
        "samples an image and step, with --estimator  [default: its own number]",
        Between(1, WIDTH, example=1),
        default=None,
    )
    baseline: str | None = setting(
        "baseline of --estimator Reinforce  [default: moving-average]",
        Among(("none", "moving-average", "nvil")),
        default=None,
    )
    tau: float = setting(f"temperature at the start  {_usual('tau')}", TEMPERATURE)
    tau_min: float = setting(f"lowest temperature  {_usual('tau_min')}", TEMPERATURE)
    tau_rate: float | None = setting(
        "decay of the temperature a step  [default: reaches the lowest after 3/4 of the run]",
        Between(0.0, 1e6, example=0.0),
        default=None,
    )
    tau_every: int = setting("steps between changes of the temperature", Between(1, LENGTH, example=100), default=100)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.tau_min > self.tau:
            raise SettingError(
                f"must not be above tau, but it is {self.tau_min} and tau is {self.tau}; lower it or raise tau",
                "tau_min",
            )


@dataclass(frozen=True, kw_only=True)
class BoundSettings(SettingsChecked):
    """What is minimized of the costs of several samples."""

    multi_sample_bound: bool = setting(
        "train on what all --samples of an image bound together, -log mean exp(-cost), in place of the mean of their "
        "costs; with an estimator whose samples carry a gradient",
        default=False,
    )


@dataclass(frozen=True, kw_only=True)
class ObjectiveSettings(BoundSettings):
    """What is minimized."""

    kl_warmup: int = setting(
        f"steps over which the weight of the KL grows from 0 to 1  {_usual('kl_warmup')}",
        Between(0, LENGTH, example=0),
    )
    free_bits: float = setting(
        "nats of KL a latent variable may spend for free", Between(0.0, 1e6, example=0.0), default=0.0
    )
    kl: str | None = setting(
        "KL in closed form, or sampled as a part of the cost  [default: exact, but sampled with --multi-sample-bound, "
        "and with --baseline nvil, which divides what an estimator learns from by its spread]",
        Among(("exact", "sampled")),
        default=None,
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.multi_sample_bound and self.kl == "exact":
            raise SettingError(
                "must not be exact with a multi-sample bound, whose weights need it sampled; leave it out", "kl"
            )


@dataclass(frozen=True, kw_only=True)
class OptimizationSettings(SettingsChecked):
    """How the weights move."""

    optimizer: str = setting("update rule", Among(("adam", "sgd")), default="adam")
    lr: float = setting(f"learning rate  {_usual('lr')}", Between(1e-38, 1e38, example=1e-3))
    lr_end: float = setting(
        "share of the learning rate that is left over the last fifth of the run",
        Between(0.0, 1.0, example=0.2),
        default=1.0,
    )
    momentum: float = setting("momentum of sgd", Between(0.0, 1.0, example=0.9), default=0.9)
    epochs: int = setting(f"passes over the images  {_usual('epochs')}", Between(1, LENGTH, example=100))
    seed: int = setting("seed of all randomness", Between(0, 2**63 - 1, example=0), default=0)


@dataclass(frozen=True, kw_only=True)
class MeasurementSettings(SettingsChecked):
    """What is looked at, and how often."""

    test_samples: int = setting(
        "samples an image for the bound on the test set", Between(1, 10**7, example=1000), default=1000
    )
    checkpoint_every: int = setting("steps between checkpoints", Between(1, LENGTH, example=500), default=500)


@dataclass(frozen=True, kw_only=True)
class MachineSettings(SettingsChecked):
    """Where it is computed."""

    device: str = setting("torch device: cpu, cuda, cuda:1, ...", default="cpu")
    # A second thread hardly shortens steps this small, and lengthens them a lot where others want its core.
    threads: int = setting(
        "threads on the CPU while training; the measurement uses all", Between(1, 1024, example=1), default=1
    )


class LatentSettings(Protocol):
    """What the settings of every training with latent variables hold."""

    @property
    def model(self) -> CodeSettings:
        """Of the variables, at least."""

    @property
    def gradient(self) -> GradientSettings:
        """Of the estimator."""

    @property
    def optimization(self) -> OptimizationSettings:
        """Of the optimizer, and the seed."""


class BoundedSettings(LatentSettings, Protocol):
    """What the settings of a training hold that may be of a multi-sample bound."""

    @property
    def objective(self) -> BoundSettings:
        """Of the bound, at least."""


class ImageSettings(LatentSettings, Protocol):
    """What the settings of every training on images hold."""

    @property
    def data(self) -> DataSettings:
        """Of the images, and how many make a batch."""

    @property
    def measurement(self) -> MeasurementSettings:
        """Of checkpoints, at least."""

    @property
    def machine(self) -> MachineSettings:
        """Of the device."""


@dataclass(frozen=True, kw_only=True)
class AutoencoderConfig:
    """What defines a training run: two runs with equal settings on one machine end with the same weights."""

    data: DataSettings
    model: ModelSettings
    gradient: GradientSettings
    objective: ObjectiveSettings
    optimization: OptimizationSettings
    measurement: MeasurementSettings
    machine: MachineSettings


def configure(**given: Any) -> AutoencoderConfig:
    """The settings that were given, by name, and those that suit the data and the kind of code for all others.

    Raises:
        SettingError: If a setting breaks its rule.

    Example:
        >>> configure(latent="bernoulli").model.variables
        200
    """
    return assemble(AutoencoderConfig, _suiting(given) | given)


def with_usual(cls: type[Config], usual: Mapping[str, Any], given: Mapping[str, Any]) -> Config:
    """The settings that were given, by name, and the usual ones for all others; a temperature alone is a fixed one.

    Raises:
        SettingError: If a setting breaks its rule.
    """
    lowest = {"tau_min": given["tau"]} if "tau" in given else {}
    return assemble(cls, {**usual, **lowest, **given})


def _suiting(given: Mapping[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, suits in USUAL.items():
        words = Among(tuple(suits))
        word = given.get(name, next(iter(suits)))
        broken = words.broken(word)
        if broken is not None:
            raise SettingError(broken, name)
        found |= suits[word]
    highest, lowest = given.get("tau"), given.get("tau_min")
    # An estimator that shows the decoder hard samples, which have no shades, keeps its temperature.
    keeps = given.get("estimator") not in (None, "GumbelSoftmax")
    if keeps:
        found["tau"] = 1.0
    # A usual temperature gives way to one that is given.
    if lowest is not None and TEMPERATURE.broken(lowest) is None:
        found["tau"] = max(found["tau"], lowest)
    start = found["tau"] if highest is None else highest
    if TEMPERATURE.broken(start) is None:
        found["tau_min"] = start if keeps else min(found["tau_min"], start)
    return found


def refuse_idle(idle: Mapping[str, str], given: Collection[str]) -> None:
    """Refuse a setting that was given but has no part in the run.

    Args:
        idle: Why a setting has no part, for each that has none, written to follow its name.
        given: The names of those that were given explicitly.

    Raises:
        SettingError: If there is one.
    """
    for name, reason in idle.items():
        if name in given:
            raise SettingError(f"has no part in {reason}; leave it out", name)
