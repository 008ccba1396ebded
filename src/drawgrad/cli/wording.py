"""Mistakes of a user of the command line, in one line: what is wrong, the value, the rule, the cure."""

from __future__ import annotations

import difflib

import click

__all__ = ["UserError", "one_line"]


class UserError(Exception):
    """Ends a command with one line on standard error.

    Args:
        command: The name of the command.
        message: The line.
        code: The exit code.
    """

    def __init__(self, command: str, message: str, code: int = 2) -> None:
        super().__init__(" ".join(message.split()))
        self.command = command
        self.code = code


def one_line(error: click.ClickException) -> str:
    """A mistake that click found, in the wording of this program."""
    context = error.ctx if isinstance(error, click.UsageError) else None
    help_command = f"{context.command_path if context else 'drawgrad'} --help"
    match error:
        case click.NoSuchOption():
            names = (
                [name for parameter in context.command.get_params(context) for name in parameter.opts]
                if context
                else []
            )
            return f"there is no option {error.option_name}; {_nearest(error.option_name, names, help_command)}"
        case click.MissingParameter():
            message = error.format_message()
        case click.BadParameter() if isinstance(error.param, click.Option):
            message = f"{error.param.opts[0]} {_lower(error.message)}; see {help_command}"
        case _:
            message = f"{_lower(error.format_message())}; see {help_command}"
    return " ".join(message.split())


def _lower(message: str) -> str:
    message = message.strip().rstrip(".")
    return message[:1].lower() + message[1:]


def _nearest(name: str, names: list[str], help_command: str) -> str:
    close = difflib.get_close_matches(name, names, n=1)
    return f"did you mean {close[0]}?" if close else f"see {help_command}"
