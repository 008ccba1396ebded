"""Command-line options made from the fields of a settings dataclass, in groups under headings."""

from __future__ import annotations

import dataclasses
import typing
from collections.abc import Callable
from typing import Any

import click

from drawgrad.studies.tasks.autoencoder.config import option_name

__all__ = ["GroupedCommand", "GroupedOption", "given_settings", "settings_options"]


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


def settings_options(settings: type, environment: dict[str, str]) -> Callable[[Any], Any]:
    """A decorator that gives a command one option for each field of a dataclass.

    Args:
        settings: A dataclass whose fields carry `help`, `group` and `choices` in their metadata.
        environment: Environment variables that stand in for options, by field name.
    """
    types = typing.get_type_hints(settings)

    def decorate(function: Any) -> Any:
        for setting in reversed(dataclasses.fields(settings)):
            function = _option(setting, types[setting.name], environment.get(setting.name))(function)
        return function

    return decorate


def _option(setting: dataclasses.Field[Any], annotation: Any, variable: str | None) -> Callable[[Any], Any]:
    kind = next(part for part in (*typing.get_args(annotation), annotation) if part is not type(None))
    rule = setting.metadata
    common: dict[str, Any] = {
        "default": setting.default,
        "help": rule["help"],
        "cls": GroupedOption,
        "group": rule["group"],
    }
    if kind is bool:
        return click.option(f"{option_name(setting.name)}/--no-{option_name(setting.name)[2:]}", **common)
    if rule["choices"]:
        common |= {"type": click.Choice(rule["choices"]), "metavar": "|".join(rule["choices"])}
    else:
        common |= {"type": kind, "metavar": {int: "N", float: "X", str: rule["metavar"]}[kind]}
    return click.option(
        option_name(setting.name), show_default=setting.default is not None, envvar=variable, show_envvar=True, **common
    )


def given_settings(context: click.Context, settings: type) -> set[str]:
    """The fields that were set explicitly, on the command line or by an environment variable."""
    explicit = (click.core.ParameterSource.COMMANDLINE, click.core.ParameterSource.ENVIRONMENT)
    names = {setting.name for setting in dataclasses.fields(settings)}
    return {name for name in names if context.get_parameter_source(name) in explicit}
