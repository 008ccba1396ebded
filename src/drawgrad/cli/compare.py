"""`drawgrad compare`: what estimators are worth, on problems whose answers are known."""

from __future__ import annotations

from pathlib import Path

import click

from drawgrad.cli.listing import listing
from drawgrad.cli.studies import Folder, perform
from drawgrad.studies.exhibits import EXHIBITS

__all__ = ["compare"]


@click.command(epilog="\b\nStudies:\n" + listing(EXHIBITS.values(), "  ") + "\n")
@click.argument("studies", nargs=-1, type=click.Choice(tuple(EXHIBITS)), metavar="[STUDY]...")
@click.option(
    "--out",
    type=Folder(),
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
    help="independent runs of coin and polynomial",
)
@click.option(
    "--jobs", type=click.IntRange(1), default=2, show_default=True, metavar="N", help="studies run at the same time"
)
def compare(studies: tuple[str, ...], out: Path, seed: int, runs: int, jobs: int) -> None:
    """Compare gradient estimators on small problems, all of them or those that are named.

    Every study prints a table, and leaves it with a figure and its numbers in a folder of its own. All of them take
    under five minutes on two cores. What a study has found is not measured again: the same command shows it, and goes
    on where it was stopped.
    """
    from drawgrad.studies.exhibits.study import Single

    chosen = [name for name in EXHIBITS if name in studies or not studies]
    perform("compare", [Single(name, EXHIBITS[name].recipe(runs), seed) for name in chosen], out, jobs)
