"""Settings of a run: dataclasses that are also the options of a command and a file.

The settings of a run are the fields of a frozen dataclass, or those of its components where its fields are dataclasses
themselves. A setting has one name in all components, because a command knows it by that name alone.
"""

from __future__ import annotations

import dataclasses
import difflib
import hashlib
import json
import math
import types
import typing
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

__all__ = ["Among", "Between", "Setting", "SettingError", "SettingsChecked", "assemble", "digest", "option_name",
           "read_settings", "setting", "settings_of", "to_json", "unknown_word", "values_of"]  # fmt: skip

Config = TypeVar("Config")


class SettingError(ValueError):
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


@dataclass(frozen=True)
class Among:
    """The rule that a setting is one of these words."""

    words: tuple[str, ...]

    def broken(self, value: Any) -> str | None:
        """What is wrong with a value, if something is."""
        if value in self.words:
            return None
        return f"must be one of {', '.join(self.words)}, but it is {value!r}; {unknown_word(value, self.words)}"


@dataclass(frozen=True)
class Between:
    """The rule that a setting is a number between two limits, both allowed; `example` is one that usually suits."""

    low: float
    high: float
    example: float

    def broken(self, value: Any) -> str | None:
        """What is wrong with a value, if something is."""
        if self.low <= value <= self.high:
            return None
        rule = f"at most {self.high}" if value > self.high else f"at least {self.low}"
        return f"must be {rule}, but it is {value}; try {self.example}"


def unknown_word(word: str, known: Iterable[str]) -> str:
    """The cure for a word that is none of the known ones: the one that was meant, if one is close.

    Example:
        >>> unknown_word("exact", ["Exact", "ReinMax"])
        'did you mean Exact?'
    """
    by_lower = {name.lower(): name for name in known}
    close = difflib.get_close_matches(str(word).lower(), by_lower, n=1, cutoff=0.6)
    return f"did you mean {by_lower[close[0]]}?" if close else "choose one"


def setting(
    text: str, rule: Among | Between | None = None, *, default: Any = dataclasses.MISSING, moves: bool = False
) -> Any:
    """A field with what the command line and the checks need to know.

    Args:
        text: What it means.
        rule: Which values are allowed, besides None where the type says so.
        default: Its value where none is given. Without one, `text` tells what it depends on.
        moves: Whether it may change when a run is resumed, because the result does not depend on it.
    """
    return field(default=default, metadata={"help": text, "rule": rule, "moves": moves})


@dataclass(frozen=True)
class Setting:
    """A setting of a config, found in its dataclass; one that :func:`setting` did not make has no rule.

    Args:
        name: Of the field.
        component: The field of the config that holds it, or None if the config itself does.
        kind: The type of its values, int, float, str, bool or Path.
        optional: Whether it may be None.
        default: Its default, `dataclasses.MISSING` if it has none.
        text: What it means.
        rule: Which values are allowed.
        moves: Whether it may change when a run is resumed.
    """

    name: str
    component: str | None
    kind: type
    optional: bool
    default: Any
    text: str
    rule: Among | Between | None
    moves: bool

    def read(self, value: Any) -> Any:
        """A value from a file in the type of the setting.

        Raises:
            SettingError: If it is of another type.
        """
        if value is None and self.optional:
            return None
        if self.kind is float and type(value) is int:
            value = float(value) if abs(value) < 2**1000 else math.inf
        if self.kind is Path and type(value) is str:
            value = Path(value)
        if not isinstance(value, self.kind) or (type(value) is bool) != (self.kind is bool):
            raise SettingError(f"must be of type {self.kind.__name__}, but it is {value!r}; correct it", self.name)
        return value


def settings_of(config: type) -> dict[str, Setting]:
    """The settings of a config dataclass by name, those of its components included, in order."""
    found: dict[str, Setting] = {}

    def collect(cls: Any, component: str | None) -> None:
        kinds = typing.get_type_hints(cls)
        for each in dataclasses.fields(cls):
            kind = kinds[each.name]
            if dataclasses.is_dataclass(kind) and component is None:
                collect(kind, each.name)
                continue
            optional = isinstance(kind, types.UnionType)
            if optional:
                (kind,) = (part for part in typing.get_args(kind) if part is not type(None))
            if each.name in found:
                raise TypeError(f"{config.__name__} has two settings called {each.name}; give one another name")
            rule = each.metadata
            found[each.name] = Setting(
                each.name, component, kind, optional, each.default,
                rule.get("help", ""), rule.get("rule"), rule.get("moves", False),
            )  # fmt: skip

    collect(config, None)
    return found


class SettingsChecked:
    """A dataclass that refuses settings that break their rules.

    Raises:
        SettingError: If one does.
    """

    def __post_init__(self) -> None:
        for each in settings_of(type(self)).values():
            value = getattr(self, each.name)
            broken = None if each.rule is None or (value is None and each.optional) else each.rule.broken(value)
            if broken is not None:
                raise SettingError(broken, each.name)


def values_of(config: Any) -> dict[str, Any]:
    """The values of all settings by name."""
    found = settings_of(type(config))
    return {
        name: getattr(getattr(config, each.component) if each.component else config, name)
        for name, each in found.items()
    }


def assemble(cls: type[Config], values: Mapping[str, Any]) -> Config:
    """A config, with its components, of values by name; those that are not given take their defaults.

    Raises:
        SettingError: If a name is unknown, a value is missing, or a value breaks its rule.
    """
    known = settings_of(cls)
    parts: dict[str, dict[str, Any]] = {}
    own: dict[str, Any] = {}
    for name, value in values.items():
        if name not in known:
            raise SettingError(f"there is no setting {name!r}; {unknown_word(name, known)}")
        component = known[name].component
        (parts.setdefault(component, {}) if component else own)[name] = value
    for name, each in known.items():
        if name not in values and each.default is dataclasses.MISSING:
            raise SettingError("is missing; give it a value", name)
    kinds = typing.get_type_hints(cls)
    components = [
        each.name for each in dataclasses.fields(typing.cast(Any, cls)) if dataclasses.is_dataclass(kinds[each.name])
    ]
    return cls(**own, **{name: kinds[name](**parts.get(name, {})) for name in components})


def to_json(config: Any) -> str:
    """The settings as the text of a file, a section for each component."""
    return json.dumps(dataclasses.asdict(config), indent=2, default=str) + "\n"


def read_settings(cls: type[Config], path: Path) -> Config:
    """The settings in a file that :func:`to_json` wrote.

    Raises:
        SettingError: If the file holds anything else, with its name and the cure.
        OSError: If it cannot be read.
    """
    try:
        return _parsed(cls, path.read_bytes().decode())
    # Not UTF-8, no JSON, no such settings, or brackets within brackets within ...
    except (ValueError, RecursionError) as error:
        raise SettingError(
            f"{path}: the settings cannot be read ({error}); restore the file, go on with the version of drawgrad that "
            "wrote it, or start in another folder"
        ) from error


def _parsed(cls: type[Config], text: str) -> Config:
    known = settings_of(cls)
    content = json.loads(text)
    values: dict[str, Any] = {}
    for each in known.values():
        section = content
        for key in (each.component, each.name):
            if key is None:
                continue
            if not isinstance(section, dict) or key not in section:
                raise SettingError("is missing", each.name)
            section = section[key]
        values[each.name] = each.read(section)
    config = assemble(cls, values)
    strange = set(_names(content)) - set(_names(json.loads(to_json(config))))
    if strange:
        raise SettingError(f"there is no setting {min(strange)!r}")
    return config


def _names(section: Any) -> Iterable[str]:
    for key, value in section.items() if isinstance(section, dict) else ():
        yield key
        yield from _names(value)


def digest(config: Any) -> str:
    """A fingerprint of the settings on which the result of a run depends."""
    moving = {name for name, each in settings_of(type(config)).items() if each.moves}
    values = {name: value for name, value in values_of(config).items() if name not in moving}
    return hashlib.sha256(json.dumps(values, sort_keys=True, default=str).encode()).hexdigest()
