"""The command line: `drawgrad train` and what will stand beside it."""

from __future__ import annotations

import sys
from collections.abc import Sequence

__all__ = ["main"]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line.

    Args:
        arguments: What follows the program's name; by default what the process was started with.

    Returns:
        The exit code: 0, 2 for a mistake in the arguments or the data, 130 after Ctrl-C.
    """
    try:
        import click  # noqa: F401
        import rich  # noqa: F401
    except ImportError as error:
        print(f"drawgrad: the command line needs {error.name}; pip install 'drawgrad[study]'", file=sys.stderr)
        return 2
    from drawgrad.cli.program import run

    return run(sys.argv[1:] if arguments is None else list(arguments))
