"""`drawgrad compare`: what estimators are worth, on problems whose answers are known."""

from __future__ import annotations

import shutil
import textwrap
from pathlib import Path
from typing import Any

import click

from drawgrad.cli.process import when_interrupted
from drawgrad.cli.wording import UserError
from drawgrad.studies.exhibits import EXHIBITS

__all__ = ["compare"]


class _Folder(click.Path):
    """A path that is not empty, as it is where a variable of the shell is not set."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        if value == "":
            self.fail("is empty, but must be the name of a folder", param, ctx)
        return super().convert(value, param, ctx)


@click.command(epilog="\b\nStudies:\n" + "\n".join(f"  {e.name:12}{e.text}" for e in EXHIBITS.values()) + "\n")
@click.argument("studies", nargs=-1, type=click.Choice(tuple(EXHIBITS)), metavar="[STUDY]...")
@click.option(
    "--out",
    type=_Folder(path_type=Path),
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
    from rich.console import Console

    from drawgrad.studies.engine import Job, JobFolderError, run

    console = Console()
    recipes = {name: EXHIBITS[name].recipe(runs) for name in EXHIBITS if name in studies or not studies}
    jobs_to_do = [Job(name, recipe, seed) for name, recipe in recipes.items()]
    doing: dict[str, str] = {}
    failed = []
    with (
        when_interrupted("compare", lambda: f"interrupted; what was finished is in {out}"),
        console.status("") as status,
    ):

        def show(name: str, message: str) -> None:
            doing[name] = message
            status.update("; ".join(f"{name}: {message}" for name, message in doing.items()))

        try:
            for outcome in run(jobs_to_do, out, workers=min(jobs, len(jobs_to_do)), listener=show):
                name = outcome.job.name
                doing.pop(name, None)
                if outcome.result is None:
                    failed.append(name)
                    _say(console, f"{name} failed: {outcome.failure}\n")
                    continue
                page = recipes[name].page(outcome.result)
                picture = page.save(outcome.folder)
                when = "measured before" if outcome.earlier else f"{outcome.seconds:.0f} s"
                console.print(page.title, style="bold", highlight=False, markup=False)
                _say(console, f"{page.text()}\n\n{_filled(page.note)}\n\nFigure: {picture}  ({when})\n")
        except JobFolderError as error:
            raise UserError("compare", f"{error}; choose another folder with --out") from error
    if failed:
        where = ", ".join(str(out / name / "log.txt") for name in failed)
        raise UserError("compare", f"{', '.join(failed)} failed; see {where}", code=1)


def _say(console: Any, text: str) -> None:
    console.print(text, highlight=False, markup=False, soft_wrap=True)


def _filled(text: str) -> str:
    return textwrap.fill(text, min(shutil.get_terminal_size().columns, 120))
