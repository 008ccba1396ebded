"""`drawgrad solve`: solve puzzles from a file or from standard input with the hard engine."""

from __future__ import annotations

import gzip
import sys
import time
import zlib
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from drawgrad.cli.process import when_interrupted
from drawgrad.cli.wording import UserError

if TYPE_CHECKING:
    from drawgrad.logic import Problem, Solutions

__all__ = ["solve"]

TOGETHER = 1000
"""Boards that are solved in one call; between calls the bar moves."""
GZIP_MAGIC = b"\x1f\x8b"
HEADINGS = ("puzzle", "puzzle,solution")


@dataclass
class Limits:
    """How far to search: options of the command."""

    solutions: int
    nodes: int | None
    until: float | None

    def search(self, problem: Problem, domains: Any) -> Solutions:
        """Solve with what is left of the time."""
        seconds = None if self.until is None else max(0.0, self.until - time.monotonic())
        return problem.solve(domains, limit=self.solutions, nodes=self.nodes, seconds=seconds)


@dataclass
class Board:
    """A line of the input: its number, the cells, and the solution that stands beside it."""

    number: int
    cells: list[int]
    answer: str | None


@dataclass
class Tally:
    """What came of the puzzles."""

    verdicts: Counter[str] = field(default_factory=Counter)
    mistakes: int = 0

    @property
    def puzzles(self) -> int:
        """How many were looked at."""
        return self.verdicts.total()


@click.command()
@click.argument("puzzles", default="-", metavar="[PUZZLES]")
@click.option(
    "--format",
    "kind",
    type=click.Choice(("sudoku", "dimacs")),
    help="of the puzzles  [default: dimacs for names that end in .cnf, else sudoku]",
)
@click.option(
    "--limit", type=click.IntRange(1), default=2, show_default=True, metavar="N", help="solutions to look for in each"
)
@click.option("--nodes", type=click.IntRange(0), metavar="N", help="decisions that the search may take for each")
@click.option("--seconds", type=click.FloatRange(0), metavar="X", help="time that the search may take in all")
@click.option("--show", is_flag=True, help="draw Sudoku boards")
def solve(puzzles: str, kind: str | None, limit: int, nodes: int | None, seconds: float | None, show: bool) -> None:
    """Solve puzzles: Sudoku boards, one a line, or a SAT problem in the DIMACS format.

    PUZZLES is a file, also one packed by gzip, or - for standard input. A board is 81 characters, row by row, with 0 or
    . for a blank cell; after a comma its solution may follow, which is then compared.

    One line a solution is written: a verdict and the solution. The verdict is "solved" where there is no other
    solution, "found" where none was looked for, "several", "contradiction", or "limit" where the search was given up.
    """
    text = _read(puzzles)
    name = puzzles.removesuffix(".gz")
    limits = Limits(limit, nodes, None if seconds is None else time.monotonic() + seconds)
    tally = Tally()
    begin = time.monotonic()
    with when_interrupted("solve", lambda: f"interrupted after {tally.puzzles} puzzles"):
        if (kind or ("dimacs" if name.endswith(".cnf") else "sudoku")) == "dimacs":
            _solve_dimacs(text, limits, tally)
        else:
            _solve_boards(text, limits, show, tally)
    took = time.monotonic() - begin
    told = ", ".join(f"{count} {verdict}" for verdict, count in tally.verdicts.most_common())
    puzzles = "1 puzzle" if tally.puzzles == 1 else f"{tally.puzzles} puzzles"
    click.echo(f"{puzzles} in {took:.1f} s: {told or 'none'}", err=True)
    if tally.mistakes:
        lines = "1 line is not as it" if tally.mistakes == 1 else f"{tally.mistakes} lines are not as they"
        raise UserError("solve", f"{lines} should be, see above; correct what is wrong", code=1)


def _read(puzzles: str) -> str:
    try:
        content = sys.stdin.buffer.read() if puzzles == "-" else Path(puzzles).read_bytes()
        content = gzip.decompress(content) if content.startswith(GZIP_MAGIC) else content
        return content.decode()
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise UserError("solve", f"{puzzles}: {reason}; give a file of puzzles, or - for standard input") from error
    except (EOFError, zlib.error, UnicodeDecodeError) as error:
        raise UserError("solve", f"{puzzles} is no text of puzzles ({error}); give another file") from error


def _solve_dimacs(text: str, limits: Limits, tally: Tally) -> None:
    from drawgrad.logic import read_dimacs

    try:
        problem = read_dimacs(text)
    except ValueError as error:
        raise UserError("solve", str(error)) from error
    found = limits.search(problem, None)
    verdict = _verdict(found, limits)
    tally.verdicts[verdict] += 1
    rows = [" ".join(str(n + 1 if value else -n - 1) for n, value in enumerate(row)) + " 0"
            for row in found.solutions().tolist()]  # fmt: skip
    _write(verdict, rows)


def _solve_boards(text: str, limits: Limits, show: bool, tally: Tally) -> None:
    import torch

    from drawgrad.logic import sudoku, write_sudoku

    problem = sudoku()
    boards = _boards(text, tally)
    with _bar(len(boards)) as advance:
        for start in range(0, len(boards), TOGETHER):
            part = boards[start : start + TOGETHER]
            found = limits.search(problem, problem.fixed(torch.tensor([board.cells for board in part])))
            for place, board in enumerate(part):
                one = _only(found, place)
                verdict = _verdict(one, limits)
                tally.verdicts[verdict] += 1
                rows = [write_sudoku(row) for row in one.solutions().tolist()]
                _write(verdict, rows)
                if show:
                    click.echo("\n\n".join(_drawn(board.cells, row) for row in rows) + "\n" if rows else "")
                if board.answer is not None and verdict == "solved" and rows != [board.answer]:
                    _mistake(board.number, "the solution beside the board is not its solution", tally)
            advance(len(part))


def _boards(text: str, tally: Tally) -> list[Board]:
    from drawgrad.logic import read_sudoku, write_sudoku

    boards = []
    for number, line in enumerate(text.splitlines(), start=1):
        line = line.strip()
        if not line or (number == 1 and line in HEADINGS):
            continue
        puzzle, comma, answer = line.partition(",")
        try:
            cells = read_sudoku(puzzle)
            boards.append(Board(number, cells, write_sudoku(read_sudoku(answer)) if comma else None))
        except ValueError as error:
            _mistake(number, f"{error}; skipped", tally)
    return boards


def _mistake(number: int, message: str, tally: Tally) -> None:
    tally.mistakes += 1
    click.echo(f"drawgrad solve: line {number}: {message}", err=True)


def _only(found: Solutions, place: int) -> Solutions:
    """The solutions of one board of a batch."""
    from drawgrad.logic import Solutions

    return Solutions(found.values[place], found.counts[place], found.status[place], found.nodes[place])


def _verdict(found: Solutions, limits: Limits) -> str:
    from drawgrad.logic import Status

    count, status = int(found.counts), int(found.status)
    if count > 1:
        return "several"
    if status == Status.COMPLETE:
        return "solved" if count else "contradiction"
    return "found" if count and status == Status.LIMIT else "limit"


def _write(verdict: str, rows: Sequence[str]) -> None:
    for row in rows or [""]:
        click.echo(f"{verdict}\t{row}".rstrip())


def _drawn(cells: Sequence[int], row: str) -> str:
    """A board with its boxes; givens are bold on a terminal."""
    lines = []
    for r in range(9):
        if r in (3, 6):
            lines.append("------+-------+------")
        digits = [click.style(row[9 * r + c], bold=cells[9 * r + c] >= 0, dim=cells[9 * r + c] < 0) for c in range(9)]
        lines.append(" | ".join(" ".join(digits[c : c + 3]) for c in (0, 3, 6)))
    return "\n".join(lines)


@contextmanager
def _bar(total: int) -> Iterator[Any]:
    """A bar on standard error where that is a terminal; a function that moves it."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    console = Console(stderr=True)
    columns = (TextColumn("solving"), BarColumn(bar_width=None), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task("", total=total)
        yield lambda count: progress.advance(task, count)
