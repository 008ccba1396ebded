"""`drawgrad compare`: what estimators are worth, on four problems whose answers are known."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import click

from drawgrad.cli.wording import UserError

if TYPE_CHECKING:
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
    "--out", type=click.Path(path_type=Path), default=Path("runs/compare"), show_default=True, metavar="DIR",
    help="folder of the tables, figures and numbers",
)  # fmt: skip
@click.option(
    "--seed", type=click.IntRange(0, 2**31 - 1), default=0, show_default=True, metavar="N", help="of everything"
)
@click.option(
    "--runs", type=click.IntRange(2), default=10, show_default="10", metavar="N",
    help="independent runs of toy and polynomial",
)  # fmt: skip
def compare(studies: tuple[str, ...], out: Path, seed: int, runs: int) -> None:
    """Compare gradient estimators on small problems, all of them or those that are named.

    Every study prints a table, and leaves it with a figure and its numbers in the folder.
    """
    from rich.console import Console

    console = Console()
    for name in studies or STUDIES:
        begin = time.perf_counter()
        with console.status(f"{name} ...") as status:
            exhibit = _run(name, seed, runs, status.update)
        try:
            picture, *_ = exhibit.save(out)
        except OSError as error:
            raise UserError("compare", f"{out} cannot be written ({error}); give another folder with --out") from error
        console.print(_table(exhibit))
        console.print(f"{exhibit.note}\n", highlight=False, markup=False)
        click.echo(f"Figure: {picture}  ({time.perf_counter() - begin:.0f} s)\n")


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


def _table(exhibit: Exhibit) -> Table:
    from rich import box
    from rich.table import Table

    table = Table(title=exhibit.title, title_justify="left", title_style="bold", box=box.SIMPLE_HEAD)
    for index, heading in enumerate(exhibit.headings):
        table.add_column(heading, justify="right" if index else "left")
    for row in exhibit.rows:
        table.add_row(*row)
    return table
