"""Options made from settings: what is given, what is not, and how the help shows them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner

from drawgrad.cli.options import GroupedCommand, settings_options
from drawgrad.studies.runs.settings import Among, Between, setting


@dataclass(frozen=True, kw_only=True)
class Shape:
    sides: int = setting("how many there are  [default: depends]", Between(3, 10, example=4))
    color: str = setting("of the sides", Among(("red", "blue")), default="red")
    filled: bool = setting("whether it is", default=False)


@dataclass(frozen=True, kw_only=True)
class Place:
    folder: Path | None = setting("where it lies", default=None)  # noqa: RUF009  it makes a field
    scale: float = setting("of one unit", default=1.5)


@dataclass(frozen=True, kw_only=True)
class Config:
    shape: Shape
    place: Place


def values(*arguments: str, **environment: str) -> dict[str, Any]:
    found: dict[str, Any] = {}

    @click.command(cls=GroupedCommand)
    @settings_options(Config, environment={"folder": "SHAPES"})
    def command(**given: Any) -> None:
        found.update(given)

    result = CliRunner().invoke(command, arguments, env=environment, catch_exceptions=False)
    found["output"] = result.output
    return found


def test_only_what_is_given_arrives_in_its_type():
    assert {value for name, value in values().items() if name != "output"} == {None}
    found = values("--sides", "4", "--color", "blue", "--no-filled", "--folder", "a/b", "--scale", "2")
    assert {name: value for name, value in found.items() if name != "output"} == {
        "sides": 4, "color": "blue", "filled": False, "folder": Path("a/b"), "scale": 2.0,
    }  # fmt: skip
    assert values("--filled")["filled"] is True
    assert values(SHAPES="there")["folder"] == Path("there")


@pytest.mark.parametrize(
    "part",
    ["Shape:", "--sides N", "[default: depends]", "--color red|blue", "[default: red]", "--filled / --no-filled",
     "Place:", "--folder DIR", "[env var: SHAPES]", "--scale X", "[default: 1.5]"],
)  # fmt: skip
def test_the_help_shows_a_heading_for_each_component(part):
    assert part in values("--help")["output"]
