"""`drawgrad exhibit`: structures at work on problems that one would meet."""

from __future__ import annotations

from pathlib import Path

import click

from drawgrad.cli.listing import listing
from drawgrad.cli.studies import Folder, perform
from drawgrad.studies.exhibits import STRUCTURES

__all__ = ["exhibit"]


@click.command(epilog="\b\nStudies:\n" + listing(STRUCTURES.values(), "  ") + "\n")
@click.argument("studies", nargs=-1, type=click.Choice(tuple(STRUCTURES)), metavar="[STUDY]...")
@click.option(
    "--out",
    type=Folder(),
    default=Path("runs/exhibit"),
    show_default=True,
    metavar="DIR",
    help="folder of the tables, figures, records and trained models",
)
@click.option(
    "--seeds",
    type=click.IntRange(1),
    default=3,
    show_default=True,
    metavar="N",
    help="how often everything is done; standard errors need two",
)
@click.option("--steps", type=click.IntRange(1), metavar="N", help="of each training  [default: the study's own]")
@click.option(
    "--jobs", type=click.IntRange(1), default=2, show_default=True, metavar="N", help="trainings at the same time"
)
@click.option(
    "--data-dir",
    type=Folder(),
    envvar="DRAWGRAD_DATA_DIR",
    show_envvar=True,
    metavar="DIR",
    help="folder of the data; what is not given is downloaded",
)
def exhibit(
    studies: tuple[str, ...], out: Path, seeds: int, steps: int | None, jobs: int, data_dir: Path | None
) -> None:
    """Show structures at work, all studies or those that are named: subsets, permutations, beams, constraints.

    Every study prints a table of means over seeds, and leaves it with a figure and a record in a folder of its own. All
    cases are done with one seed before the next begins, so that what is there after an interruption is a whole table of
    fewer seeds. The same command goes on where it was stopped, and more seeds or studies add to what is there.
    """
    chosen = [STRUCTURES[name].study(seeds, steps, data_dir) for name in STRUCTURES if name in studies or not studies]
    typed = "drawgrad exhibit {}" + f" --seeds {seeds}" + (f" --steps {steps}" if steps else "")
    perform("exhibit", chosen, out, jobs, typed)
