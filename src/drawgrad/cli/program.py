"""The program `drawgrad`: its commands, and mistakes told in one line."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Sequence
from importlib.metadata import version

import click

from drawgrad.cli.compare import compare
from drawgrad.cli.exhibit import exhibit
from drawgrad.cli.playground import playground
from drawgrad.cli.process import when_interrupted
from drawgrad.cli.reproduce import reproduce
from drawgrad.cli.solve import solve
from drawgrad.cli.train import train
from drawgrad.cli.wording import UserError, of_memory, of_system, one_line

__all__ = ["program", "run"]


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110}, no_args_is_help=True)
@click.version_option(version("drawgrad"), prog_name="drawgrad", message="%(prog)s %(version)s")
def program() -> None:
    """Gradients for discrete choices: train a network with a discrete code on real data, and see what it learned."""


program.add_command(compare)
program.add_command(exhibit)
program.add_command(playground)
program.add_command(reproduce)
program.add_command(solve)
program.add_command(train)


def run(arguments: Sequence[str]) -> int:
    """Run the program; returns its exit code."""
    name = next((argument for argument in arguments[:1] if argument in program.commands), "")
    command = f"drawgrad {name}".rstrip()
    try:
        with when_interrupted(name, lambda: "interrupted"):
            result = program.main(list(arguments), prog_name="drawgrad", standalone_mode=False)
            if sys.stdout is not None:  # As it is for a program that is started without one.
                sys.stdout.flush()
    except click.exceptions.NoArgsIsHelpError as error:
        click.echo(error.format_message())
        return 0
    except click.ClickException as error:
        return _tell(f"{command}: {one_line(error, command)}", 2)
    except UserError as error:
        return _tell(f"{command}: {error}", error.code)
    except click.Abort:  # What click makes of an interrupt.
        return _tell(f"{command}: interrupted", 130)
    except BrokenPipeError:
        return 1  # Nobody reads on: click ends as silently, where it notices.
    except OSError as error:
        return _tell(f"{command}: {of_system(error)}", 1)
    except (MemoryError, RuntimeError) as error:
        if not of_memory(error):
            raise
        return _tell(f"{command}: there is not enough memory", 1)
    return result if isinstance(result, int) else 0


def _tell(line: str, code: int) -> int:
    with contextlib.suppress(OSError):  # Where nobody reads, the code tells.
        print(line, file=sys.stderr)
    return code
