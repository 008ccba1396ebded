"""The program `drawgrad`: its commands, and mistakes told in one line."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib.metadata import version

import click

from drawgrad.cli.compare import compare
from drawgrad.cli.train import train
from drawgrad.cli.wording import UserError, one_line

__all__ = ["program", "run"]


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110}, no_args_is_help=True)
@click.version_option(version("drawgrad"), prog_name="drawgrad", message="%(prog)s %(version)s")
def program() -> None:
    """Gradients for discrete choices: train a network with a discrete code on real data, and see what it learned."""


program.add_command(compare)
program.add_command(train)


def run(arguments: Sequence[str]) -> int:
    """Run the program; returns its exit code."""
    try:
        result = program.main(list(arguments), prog_name="drawgrad", standalone_mode=False)
    except click.exceptions.NoArgsIsHelpError as error:
        click.echo(error.format_message())
        return 0
    except click.ClickException as error:
        known = arguments and arguments[0] in program.commands
        command = f"drawgrad {arguments[0]}" if known else "drawgrad"
        print(f"{command}: {one_line(error, command)}", file=sys.stderr)
        return 2
    except UserError as error:
        print(f"drawgrad {error.command}: {error}", file=sys.stderr)
        return error.code
    except (KeyboardInterrupt, click.Abort):
        print("drawgrad: interrupted", file=sys.stderr)
        return 130
    return result if isinstance(result, int) else 0
