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


def one_line(error: click.ClickException, command: str) -> str:
    """A mistake that click found, in the wording of this program.

    Args:
        error: The mistake.
        command: The command that it was made in, as one types it.
    """
    context = error.ctx if isinstance(error, click.UsageError) else None
    cure = f"see {command} --help"
    match error:
        case click.NoSuchOption():
            parameters = context.command.get_params(context) if context else []
            names = [name for parameter in parameters for name in parameter.opts]
            close = difflib.get_close_matches(error.option_name, names, n=1, cutoff=0.7)
            message = f"there is no option {error.option_name}"
            cure = f"did you mean {close[0]}?" if close else cure
        case click.BadParameter() if isinstance(error.param, click.Option):
            message = f"{error.param.opts[0]} {error.message}"
        case _:
            message = error.format_message()
            message = message[:1].lower() + message[1:]
    message = " ".join(message.split()).rstrip(".")
    return message if message.endswith("?") else f"{message}; {cure}"
