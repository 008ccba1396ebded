"""What goes wrong on the command line, in one line: what it is, the value, the rule, the cure."""

from __future__ import annotations

import difflib
import errno
import os

import click

__all__ = ["UserError", "of_memory", "of_system", "one_line"]

LONGEST, SHORTENED = 255, 50
"""Characters of a name that is shown whole, and how many of each end are shown of a longer one."""


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


def of_system(error: OSError, settled: bool = False) -> str:
    """What the operating system refused: which file, why, and a cure where one is known.

    Args:
        error: Its error.
        settled: Whether the folder is that of a run that has begun, so that another one is no cure.
    """
    name = "standard output" if error.filename is None else os.fsdecode(error.filename)
    if len(name) > LONGEST:
        name = f"{name[:SHORTENED]}...{name[-SHORTENED:]}"
    reason = (error.strerror or str(error) or type(error).__name__).lower()
    match error.errno:
        case _ if settled:
            cure = ""
        case errno.ENOSPC | errno.EDQUOT:
            cure = "; make room, or choose another folder with --out"
        case errno.ENAMETOOLONG:
            cure = "; choose a shorter name"
        case errno.EACCES | errno.EPERM | errno.EROFS | errno.ENOTDIR | errno.EISDIR | errno.EEXIST:
            cure = "; choose another folder with --out"
        case _:
            cure = ""
    return f"{name}: {reason}{cure}"


def of_memory(error: BaseException) -> bool:
    """Whether something failed for want of memory."""
    # torch has no error of its own for the memory of a CPU.
    return (
        isinstance(error, MemoryError)
        or type(error).__name__ == "OutOfMemoryError"
        or (isinstance(error, RuntimeError) and "allocate memory" in str(error))
    )
