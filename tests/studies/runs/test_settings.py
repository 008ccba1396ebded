"""Settings of any dataclass: how they are found, refused, written and read."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass
from pathlib import Path

import pytest

from drawgrad.studies.runs.settings import (
    Among,
    Between,
    SettingError,
    SettingsChecked,
    assemble,
    digest,
    option_name,
    read_settings,
    setting,
    settings_of,
    to_json,
    unknown_word,
    values_of,
)


@dataclass(frozen=True, kw_only=True)
class Layers(SettingsChecked):
    width: int = setting("units of a layer", Between(1, 1000, example=50))
    kind: str = setting("of units", Among(("relu", "tanh")), default="relu")
    dropout: float | None = setting("how many are left out", Between(0.0, 1.0, example=0.5), default=None)


@dataclass(frozen=True, kw_only=True)
class Place:
    folder: Path | None = setting("of the data", default=None, moves=True)  # noqa: RUF009  makes a field
    fast: bool = False


@dataclass(frozen=True, kw_only=True)
class Config:
    layers: Layers
    place: Place
    name: str = "nobody"


CONFIG = Config(layers=Layers(width=7, dropout=0.5), place=Place(folder=Path("a") / "b", fast=True), name="Maß")


@dataclass(frozen=True)
class Flat:
    """A dataclass that knows nothing of runs."""

    width: int = 3
    rate: float = 0.1


def test_the_settings_of_all_components_are_found():
    found = settings_of(Config)
    assert list(found) == ["width", "kind", "dropout", "folder", "fast", "name"]
    assert (found["dropout"].component, found["dropout"].kind, found["dropout"].optional) == ("layers", float, True)
    assert (found["name"].component, found["name"].default) == (None, "nobody")
    assert found["width"].default is dataclasses.MISSING
    assert found["folder"].moves
    assert not found["fast"].moves


def test_one_name_means_one_setting():
    @dataclass
    class Twice:
        layers: Layers
        width: int = 1

    # The names of local classes cannot be looked up.
    Twice.__annotations__ = {"layers": Layers, "width": int}
    with pytest.raises(TypeError, match="Twice has two settings called width; give one another name"):
        settings_of(Twice)


def test_a_config_is_assembled_of_values_by_name():
    assert assemble(Config, values_of(CONFIG)) == CONFIG
    assert assemble(Config, {"width": 2}) == Config(layers=Layers(width=2), place=Place())
    assert assemble(Flat, {"rate": 0.5}) == Flat(rate=0.5)
    with pytest.raises(SettingError, match=r"^width is missing; give it a value"):
        assemble(Config, {})
    with pytest.raises(SettingError, match=r"^there is no setting 'widht'; did you mean width\?"):
        assemble(Config, {"widht": 2})


@pytest.mark.parametrize(
    "values", [{"width": 0}, {"width": 1001}, {"width": 5, "dropout": 1.5}, {"width": 5, "kind": ""}]
)
def test_a_rule_is_kept(values):
    with pytest.raises(SettingError):
        assemble(Config, values)


@pytest.mark.parametrize("config", [CONFIG, Config(layers=Layers(width=1), place=Place()), Flat(), Flat(rate=1e-300)])
def test_settings_survive_their_file(config, tmp_path):
    path = tmp_path / "config.json"
    path.write_text(to_json(config))
    assert read_settings(type(config), path) == config


def changed(section: str, name: str, value: object) -> str:
    content = json.loads(to_json(CONFIG))
    content[section][name] = value
    return json.dumps(content)


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"{", "Expecting property name"),
        (b"[1]", "width is missing"),
        (b"3", "width is missing"),
        (b"null", "width is missing"),
        (b"", "Expecting value"),
        (b"\xff\xfe{}", "codec can't decode byte 0xff"),
        (b"[" * 100_000, "recursion"),
        (b'{"model_type": "bert", "layers": {}}', "width is missing"),
        (changed("layers", "width", "7").encode(), "width must be of type int, but it is '7'"),
        (changed("layers", "width", True).encode(), "width must be of type int, but it is True"),
        (changed("layers", "width", 7.5).encode(), "width must be of type int, but it is 7.5"),
        (changed("layers", "width", None).encode(), "width must be of type int, but it is None"),
        (changed("layers", "width", 10**400).encode(), "width must be at most 1000"),
        (changed("layers", "dropout", 10**400).encode(), "dropout must be at most 1.0, but it is inf"),
        (changed("layers", "dropout", [0.5]).encode(), "dropout must be of type float"),
        (changed("place", "fast", 1).encode(), "fast must be of type bool, but it is 1"),
        (changed("layers", "color", 1).encode(), "there is no setting 'color'"),
    ],
)
def test_a_file_that_holds_anything_else_is_named(content, why, tmp_path):
    path = tmp_path / "config.json"
    path.write_bytes(content)
    with pytest.raises(SettingError) as error:
        read_settings(Config, path)
    assert str(error.value).startswith(f"{path}: the settings cannot be read (")
    assert why in str(error.value)
    cure = "restore the file, go on with the version of drawgrad that wrote it, or start in another folder"
    assert str(error.value).endswith(f"); {cure}")


def test_a_fingerprint_knows_what_the_result_depends_on():
    moved = dataclasses.replace(CONFIG, place=Place(folder=Path("elsewhere"), fast=True))
    assert digest(moved) == digest(CONFIG)
    assert digest(dataclasses.replace(CONFIG, name="else")) != digest(CONFIG)
    assert digest(Flat()) != digest(Flat(width=4))


def test_options_are_spelled_with_dashes():
    assert option_name("kl_warmup") == "--kl-warmup"


def test_a_word_is_guessed_if_one_is_close():
    words = ["Exact", "ReinMax", "Reinforce"]
    assert unknown_word("REINMAX", words) == "did you mean ReinMax?"
    assert unknown_word("reinforced", words) == "did you mean Reinforce?"
    assert unknown_word("xyz", words) == "choose one"
