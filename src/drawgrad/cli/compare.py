"""`drawgrad compare`: what estimators are worth, on four problems whose answers are known."""

from __future__ import annotations

import multiprocessing
import signal
import tempfile
import textwrap
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from drawgrad.cli.wording import UserError

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

    from drawgrad.studies.exhibit import Exhibit

__all__ = ["compare"]

STUDIES = {
    "linear": "eight classes, linear reward: variance against evaluations",
    "dial": "bias against variance over the temperature",
    "toy": "one coin with cost (b - t)^2, t = 0.45, 0.49, 0.499",
    "polynomial": "128 binary variables with cost |b - t|^p, p = 1.5, 2, 3",
}


@click.command(epilog="\b\nStudies:\n" + "\n".join(f"  {name:12}{text}" for name, text in STUDIES.items()) + "\n")
@click.argument("studies", nargs=-1, type=click.Choice(tuple(STUDIES)), metavar="[STUDY]...")
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    default=Path("runs/compare"),
    show_default=True,
    metavar="DIR",
    help="folder of the tables, figures and numbers",
)
@click.option(
    "--seed", type=click.IntRange(0, 2**31 - 1), default=0, show_default=True, metavar="N", help="seed of everything"
)
@click.option(
    "--runs",
    type=click.IntRange(2),
    default=10,
    show_default=True,
    metavar="N",
    help="independent runs of toy and polynomial",
)
@click.option(
    "--jobs", type=click.IntRange(1), default=2, show_default=True, metavar="N", help="studies run at the same time"
)
def compare(studies: tuple[str, ...], out: Path, seed: int, runs: int, jobs: int) -> None:
    """Compare gradient estimators on small problems, all of them or those that are named.

    Every study prints a table, and leaves it with a figure and its numbers in the folder. All of them take under
    five minutes on two cores.
    """
    from rich.console import Console

    console = Console()
    names = list(dict.fromkeys(studies or STUDIES))
    try:
        _check_folder(out)
        found = _side_by_side if min(jobs, len(names)) > 1 else _in_turn
        for finished in found(names, seed, runs, out, jobs, console):
            console.print(_table(finished))
            console.print(f"\n{finished.note}\n", highlight=False, markup=False)
            click.echo(f"Figure: {finished.picture}  ({finished.seconds:.0f} s)\n")
    except OSError as error:
        raise UserError("compare", f"{out} cannot be written ({error}); give another folder with --out") from error
    except KeyboardInterrupt as error:
        raise UserError("compare", f"interrupted; what was finished is in {out}", code=130) from error


@dataclass(frozen=True)
class _Finished:
    """What is shown of a study whose files are written."""

    title: str
    headings: Sequence[str]
    rows: Sequence[Sequence[str]]
    note: str
    picture: Path
    seconds: float


def _check_folder(out: Path) -> None:
    """Find out before the work whether the results can be written."""
    out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryFile(dir=out):
        pass


def _in_turn(names: Sequence[str], seed: int, runs: int, out: Path, jobs: int, console: Console) -> Iterator[_Finished]:
    for name in names:
        with console.status(f"{name} ...") as status:
            finished = _finish(name, seed, runs, out, lambda message: status.update(message))
        yield finished


def _side_by_side(
    names: Sequence[str], seed: int, runs: int, out: Path, jobs: int, console: Console
) -> Iterator[_Finished]:
    others = set(multiprocessing.active_children())
    # A forked process would inherit threads in any state.
    pool = ProcessPoolExecutor(jobs, multiprocessing.get_context("spawn"), initializer=_leave_interrupts_to_parent)
    try:
        # The longest first, so that it does not run alone in the end.
        futures: dict[str, Future[_Finished]] = {
            name: pool.submit(_finish, name, seed, runs, out) for name in sorted(names, key="polynomial".__ne__)
        }
        for name in names:
            running = [other for other in names if not futures[other].done()]
            with console.status(f"{', '.join(running)} ..."):
                finished = futures[name].result()
            yield finished
    except BaseException:
        # A second Ctrl-C would find Python waiting for the pool.
        handler = signal.signal(signal.SIGINT, signal.SIG_IGN)
        for process in set(multiprocessing.active_children()) - others:
            process.terminate()
        pool.shutdown(cancel_futures=True)
        signal.signal(signal.SIGINT, handler)
        raise
    pool.shutdown()


def _leave_interrupts_to_parent() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def _finish(
    name: str, seed: int, runs: int, out: Path, listener: Callable[[str], None] = lambda message: None
) -> _Finished:
    """Run a study and write its files."""
    begin = time.perf_counter()
    with _one_thread():
        exhibit = _run(name, seed, runs, lambda message: listener(f"{name}: {message} ..."))
        picture, *_ = exhibit.save(out)
    return _Finished(exhibit.title, exhibit.headings, exhibit.rows, exhibit.note, picture, time.perf_counter() - begin)


@contextmanager
def _one_thread() -> Iterator[None]:
    """For tensors as small as these, threads that wait for each other cost more than they do."""
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def _run(name: str, seed: int, runs: int, listener: Callable[[str], None]) -> Exhibit:
    from drawgrad.studies.dial import dial
    from drawgrad.studies.linear_reward import linear_reward
    from drawgrad.studies.polynomial import polynomial
    from drawgrad.studies.toy_exhibit import toy

    match name:
        case "linear":
            return linear_reward(seed=seed)
        case "dial":
            return dial(seed=seed)
        case "toy":
            return toy(seed=seed, runs=runs, listener=listener)
        case "polynomial":
            return polynomial(seed=seed, runs=runs, listener=listener)
        case _:
            raise AssertionError(name)


def _table(finished: _Finished) -> Table:
    from rich import box
    from rich.table import Table

    table = Table(
        title=finished.title,
        title_justify="left",
        title_style="bold",
        box=box.SIMPLE_HEAD,
        show_edge=False,
        pad_edge=False,
        padding=(0, 1, 0, 0),
    )
    for index, heading in enumerate(finished.headings):
        # A heading may take several lines, a number and its error may not.
        width = max(len(row[index]) for row in finished.rows)
        lines = textwrap.fill(heading, max(width, *map(len, heading.split())), break_on_hyphens=False)
        table.add_column(lines, justify="right" if index else "left", no_wrap=True)
    for row in finished.rows:
        table.add_row(*row)
    return table
