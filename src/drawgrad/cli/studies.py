"""How studies are done on the command line: jobs with progress, and the page of each study once it is complete."""

from __future__ import annotations

import shutil
import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from drawgrad.cli.process import when_interrupted
from drawgrad.cli.wording import UserError

if TYPE_CHECKING:
    from rich.console import Console

    from drawgrad.studies.engine import Outcome
    from drawgrad.studies.exhibits.study import Study

__all__ = ["Folder", "perform"]


class Folder(click.Path):
    """A path that is not empty, as it is where a variable of the shell is not set."""

    def __init__(self) -> None:
        super().__init__(path_type=Path)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """The path."""
        if value == "":
            self.fail("is empty, but must be the name of a folder", param, ctx)
        return super().convert(value, param, ctx)


def perform(command: str, studies: Sequence[Study], out: Path, workers: int, typed: str = "") -> None:
    """Do what studies consist of, and print the page of each as soon as its last job has ended.

    Table, figure and record are written into the folder of a study whenever all its cases are done with one more seed.

    Args:
        command: The name of the command.
        studies: What to do, in order.
        out: The folder of their folders.
        workers: How many jobs run at the same time.
        typed: The command line that repeats a study, for its record, with `{}` for the study's name.

    Raises:
        UserError: If a job failed, or a folder holds something else.
    """
    from rich.console import Console

    from drawgrad.studies.engine import JobFolderError, Local, run

    console = Console()
    desks = [_Desk(study, out, typed.format(study.name)) for study in studies]
    desk_of = {name: desk for desk in desks for name in desk.waiting}
    jobs = [job for study in studies for job in study.jobs()]
    with (
        when_interrupted(command, lambda: f"interrupted; what was finished is in {out}"),
        console.status("") as status,
    ):

        def show(name: str, message: str) -> None:
            desk_of[name].doing[name] = message
            status.update("; ".join(line for desk in desks for line in desk.lines()))

        try:
            for outcome in run(jobs, out, engine=Local(min(workers, len(jobs))), listener=show):
                desk_of[outcome.job.name].take(outcome, console)
        except JobFolderError as error:
            raise UserError(command, f"{error}; choose another folder with --out") from error
    failed = [outcome for desk in desks for outcome in desk.failed]
    if failed:
        names = ", ".join(outcome.job.name for outcome in failed)
        where = ", ".join(str(outcome.folder / "log.txt") for outcome in failed)
        raise UserError(command, f"{names} failed; see {where}", code=1)


class _Desk:
    """Where the outcomes of one study come together.

    Args:
        study: The study.
        out: The folder of all studies.
        typed: The command line of its record.
    """

    def __init__(self, study: Study, out: Path, typed: str) -> None:
        self.study, self.folder, self.typed = study, out / study.name, typed
        self.jobs = study.jobs()
        self.waiting = {job.name for job in self.jobs}
        self.doing: dict[str, str] = {}
        self.done: dict[str, Outcome] = {}
        self.failed: list[Outcome] = []

    def lines(self) -> list[str]:
        """What is being done."""
        if len(self.jobs) == 1:
            return [f"{name}: {message}" for name, message in self.doing.items()]
        ended = len(self.jobs) - len(self.waiting)
        return [f"{name}: {message} ({ended} of {len(self.jobs)} done)" for name, message in self.doing.items()]

    def take(self, outcome: Outcome, console: Console) -> None:
        """Note how a job ended, and show what has become complete."""
        name = outcome.job.name
        self.doing.pop(name, None)
        self.waiting.discard(name)
        if outcome.result is None:
            self.failed.append(outcome)
            _say(console, f"{name} failed: {outcome.failure}\n")
        else:
            self.done[name] = outcome
            several, ended = len(self.jobs) > 1, len(self.jobs) - len(self.waiting)
            if several and not outcome.earlier and not console.is_terminal:
                _say(console, f"{name}: {outcome.seconds:.0f} s ({ended} of {len(self.jobs)} done)")
        seeds = len({job.seed for job in self.jobs})
        complete = not self.waiting
        if self.done and (complete or len(self.waiting) % (len(self.jobs) // seeds) == 0):
            self._show(console if complete else None)

    def _show(self, console: Console | None) -> None:
        results = {name: outcome.result or {} for name, outcome in self.done.items()}
        page = self.study.page(results)
        picture = page.save(self.folder)
        seconds = sum(outcome.seconds for outcome in self.done.values())
        self._record(results, page.title, seconds)
        if console is not None:
            earlier = all(outcome.earlier for outcome in self.done.values())
            when = "measured before" if earlier else f"{seconds:.0f} s"
            console.print(page.title, style="bold", highlight=False, markup=False)
            _say(console, f"{page.text()}\n\n{_filled(page.note)}\n\nFigure: {picture}  ({when})\n")

    def _record(self, results: dict[str, Any], title: str, seconds: float) -> None:
        from drawgrad.studies.records import Provenance, together, write

        measurements = self.study.measurements(results)
        if measurements:
            origin = together(Provenance(**outcome.origin) for outcome in self.done.values())
            write(
                self.study.name, title, measurements, spread="standard error over seeds", command=self.typed,
                seconds=seconds, folder=self.folder, origin=origin,
            )  # fmt: skip


def _say(console: Console, text: str) -> None:
    console.print(text, highlight=False, markup=False, soft_wrap=True)


def _filled(text: str) -> str:
    return textwrap.fill(text, min(shutil.get_terminal_size().columns, 120))
