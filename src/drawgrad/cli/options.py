"""Command-line options made from the settings of a config dataclass, in groups under headings."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from drawgrad.studies.runs.settings import Among, Setting, option_name, settings_of

__all__ = ["GroupedCommand", "GroupedOption", "settings_options"]

METAVARS = {int: "N", float: "X", Path: "DIR", str: "NAME"}
"""What the help calls a value, by its type."""


class GroupedOption(click.Option):
    """An option that knows the heading it stands below in the help."""

    def __init__(self, *args: Any, group: str, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.group = group


class GroupedCommand(click.Command):
    """A command whose help shows its options below headings."""

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write one section for each heading, in order of appearance; options without one come last."""
        sections: dict[str, list[tuple[str, str]]] = {}
        for parameter in self.get_params(ctx):
            record = parameter.get_help_record(ctx)
            if record is not None:
                sections.setdefault(getattr(parameter, "group", "Other"), []).append(record)
        for heading, records in sections.items():
            with formatter.section(heading):
                formatter.write_dl(records)


def settings_options(config: type, environment: dict[str, str]) -> Callable[[Any], Any]:
    """A decorator that gives a command one option for each setting of a config dataclass, a heading for each component.

    Args:
        config: The dataclass.
        environment: Environment variables that stand in for options, by the name of the setting.
    """

    def decorate(function: Any) -> Any:
        for setting in reversed(settings_of(config).values()):
            function = _option(setting, environment.get(setting.name))(function)
        return function

    return decorate


def _option(setting: Setting, variable: str | None) -> Callable[[Any], Any]:
    shown = isinstance(setting.default, int | float | str) and setting.kind is not bool
    common: dict[str, Any] = {
        # Only what was given reaches the command: what is filled in can depend on it.
        "default": None,
        "help": setting.text + (f"  [default: {setting.default}]" if shown else ""),
        "cls": GroupedOption,
        "group": (setting.component or "Settings").capitalize(),
        "envvar": variable,
        "show_envvar": True,
    }
    name = option_name(setting.name)
    if setting.kind is bool:
        return click.option(f"{name}/--no-{name[2:]}", **common)
    if isinstance(setting.rule, Among):
        words = setting.rule.words
        return click.option(name, type=click.Choice(words), metavar="|".join(words), **common)
    kind = click.Path(path_type=Path) if setting.kind is Path else setting.kind
    return click.option(name, type=kind, metavar=METAVARS[setting.kind], **common)
