"""The command line: `drawgrad train` and what stands beside it."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from drawgrad.cli import process

__all__ = ["main"]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line.

    Args:
        arguments: What follows the program's name. If None, what the process was started with: then the process is the
            program's, and a signal ends it at once.

    Returns:
        The exit code: 0, 1 for a run that failed, 2 for a mistake in the arguments or the data, 130 after Ctrl-C.
    """
    if arguments is not None:
        return _run(arguments)
    process.begin()
    code = _run(sys.argv[1:])
    process.end(code)
    return code


def _run(arguments: Sequence[str]) -> int:
    try:
        import click  # noqa: F401
        import rich  # noqa: F401
    except ImportError as error:
        print(f"drawgrad: the command line needs {error.name}; pip install 'drawgrad[study]'", file=sys.stderr)
        return 2
    from drawgrad.cli.program import run

    return run(list(arguments))
