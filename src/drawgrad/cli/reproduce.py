"""`drawgrad reproduce`: a published table, trained anew with several seeds, beside the printed figures."""

from __future__ import annotations

import fnmatch
import shlex
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import click
from click.core import ParameterSource

from drawgrad.cli.listing import listing
from drawgrad.cli.process import when_interrupted
from drawgrad.cli.studies import Folder
from drawgrad.cli.wording import UserError
from drawgrad.studies.papers import TABLES

if TYPE_CHECKING:
    from drawgrad.studies.engine import Engine, Job, Outcome
    from drawgrad.studies.reproduction import Cell, Findings, Reproduction, Table, TableRecord

__all__ = ["reproduce"]


def _list_tables(ctx: click.Context, parameter: click.Parameter, value: bool) -> None:
    if value:
        click.echo(listing(TABLES.values()))
        ctx.exit()


@click.command()
@click.argument("name", metavar="TABLE", type=click.Choice(tuple(TABLES)))
@click.option("--list", is_flag=True, expose_value=False, is_eager=True, callback=_list_tables, help="list the tables")
@click.option(
    "--cells",
    multiple=True,
    metavar="PATTERN",
    help="only cells whose name, ROW/COLUMN, is so, with * for anything: 'sbn-*/gumbel-softmax'; may be repeated",
)
@click.option("--show-cells", is_flag=True, help="show the names of the cells and what differs from the paper")
@click.option("--protocol", metavar="NAME", help="how cells are trained  [default: quick]")
@click.option("--seeds", type=click.IntRange(1, 1000), default=3, show_default=True, metavar="N", help="runs of a cell")
@click.option(
    "--steps", type=click.IntRange(1), metavar="N", help="of a run, in place of the protocol's, to whole epochs"
)
@click.option("--jobs", type=click.IntRange(1), default=2, show_default=True, metavar="N", help="runs at the same time")
@click.option(
    "--stack",
    type=click.IntRange(1),
    default=1,
    show_default=True,
    metavar="N",
    help="seeds of a cell that train as one program, at most, as suits a GPU; each of --jobs is such a program",
)
@click.option(
    "--engine",
    type=click.Choice(("local", "ray")),
    default="local",
    show_default=True,
    help="where runs are done: by processes of this machine, or on a Ray cluster",
)
@click.option(
    "--address",
    metavar="HOST:PORT",
    help="of the Ray cluster, or auto  [default: one of --jobs cores is started on this machine]",
)
@click.option("--device", metavar="NAME", default="cpu", show_default=True, help="torch device of the runs")
@click.option(
    "--data-dir",
    type=Folder(),
    metavar="DIR",
    envvar="DRAWGRAD_DATA_DIR",
    show_envvar=True,
    help="folder with the data files, instead of a download into a cache",
)
@click.option(
    "--out",
    type=Folder(),
    metavar="DIR",
    help="folder of the runs  [default: runs/TABLE-PROTOCOL]",
)
@click.option(
    "--record",
    type=Folder(),
    metavar="DIR",
    help="keep the table and its runs, with commit, versions and device, in this folder of records; runs that it holds "
    "are not done again",
)
@click.option("--only-finished", is_flag=True, help="show what is finished, and do nothing")
def reproduce(
    *,
    name: str,
    cells: tuple[str, ...],
    show_cells: bool,
    protocol: str | None,
    seeds: int,
    steps: int | None,
    jobs: int,
    stack: int,
    engine: Literal["local", "ray"],
    address: str | None,
    device: str,
    data_dir: Path | None,
    out: Path | None,
    record: Path | None,
    only_finished: bool,
) -> None:
    """Train the cells of a published table with several seeds, and print them beside its figures.

    For each cell the learning rate is chosen on the validation images, then as many runs as there are seeds are
    measured on the test images. What is finished is never done again: the same command shows it, and goes on where it
    was stopped, however that was; with --record also on another machine.
    """
    table = TABLES[name].load()
    chosen = _chosen(table, cells)
    if show_cells:
        _show_cells(chosen)
        return
    protocol = protocol or next(iter(table.protocols))
    if protocol not in table.protocols:
        raise UserError("reproduce", f"--protocol must be one of {', '.join(table.protocols)}, but it is {protocol!r}")
    if address is not None and engine != "ray":
        raise UserError("reproduce", "--address is that of a Ray cluster; add --engine ray, or leave it out")
    if address is not None and click.get_current_context().get_parameter_source("jobs") is not ParameterSource.DEFAULT:
        raise UserError("reproduce", "--jobs has no part in a cluster that runs; leave it out")
    if stack > 1:
        _say_singles(chosen)
    root = Path("runs") / f"{name}-{protocol}" if out is None else out
    from drawgrad.studies.data import DataError
    from drawgrad.studies.engine import ClusterError, JobFolderError, LedgerError, Local, RayCluster
    from drawgrad.studies.reproduction import Reproduction, TableRecord, TableRecordError
    from drawgrad.studies.runs.settings import SettingError
    from drawgrad.studies.tasks.autoencoder.training import select_device

    settings = {} if device == "cpu" else {"device": device}
    study = Reproduction(table, table.protocols[protocol], chosen, seeds, settings, steps, data_dir)
    where = [root] if record is None else [root, record]
    again = f"go on with the same command; what was finished is in {' and '.join(shlex.quote(str(w)) for w in where)}"
    doer: Engine = Local(jobs)
    if engine == "ray":
        doer = RayCluster(address, jobs, 0.0 if device == "cpu" else 1.0)
    with when_interrupted("reproduce", lambda: f"interrupted; {again}"):
        try:
            if engine == "local":
                select_device(device)
            # What repeats the study, without the places of this machine, and for any number of seeds.
            typed = ["drawgrad", "reproduce", name, "--protocol", protocol]
            typed += [] if steps is None else ["--steps", str(steps)]
            typed += [] if device == "cpu" else ["--device", device]
            kept = None if record is None else TableRecord(study, record, f"{shlex.join(typed)} --seeds {{}}")
            desk = _Desk(study, root, doer, stack, kept)
            findings = desk.finished() if only_finished else desk.do()
        except SettingError as error:
            raise UserError("reproduce", f"--{error.setting} {error.message}") from error
        except JobFolderError as error:
            raise UserError("reproduce", f"{error}; choose another folder with --out") from error
        except ClusterError as error:
            raise UserError("reproduce", f"--engine ray: {error}") from error
        except DataError as error:
            raise UserError("reproduce", f"no run was begun: {error}") from error
        except (LedgerError, TableRecordError) as error:
            raise UserError("reproduce", f"--record {error}") from error
        _say(findings, desk)
    if findings.failures():
        raise UserError("reproduce", f"{len(findings.failures())} of {study.count()} runs failed, see above", code=1)


def _chosen(table: Table, patterns: Sequence[str]) -> tuple[Cell, ...]:
    known = {cell.name: cell for cell in table.cells}
    for pattern in patterns:
        if not fnmatch.filter(known, pattern):
            from drawgrad.studies.runs.settings import unknown_word

            raise UserError(
                "reproduce",
                f"--cells {pattern} is no cell of {table.name}; {unknown_word(pattern, known)} "
                f"(--show-cells lists them)",
            )
    names = {name for pattern in patterns or ("*",) for name in fnmatch.filter(known, pattern)}
    return tuple(cell for name, cell in known.items() if name in names)


def _show_cells(cells: Sequence[Cell]) -> None:
    for cell in cells:
        printed = "" if cell.printed is None else f"{cell.printed:.1f}"
        click.echo(f"{cell.name:50} {printed:>6}  {'; '.join(cell.deviations)}".rstrip())


def _say_singles(cells: Sequence[Cell]) -> None:
    """Tell which cells train one seed at a time although they are to be stacked, and refuse if all do."""
    singles = {cell.name: reason for cell in cells if (reason := cell.recipe.single()) is not None}
    told = [f"{name} trains one seed at a time: it {reason}" for name, reason in singles.items()]
    if len(told) == len(cells):
        raise UserError("reproduce", f"--stack has no part in these cells ({told[0]}); leave it out")
    for each in told:
        click.echo(each, err=True)


class _Desk:
    """Where the runs of a study come together, and go into its record.

    Args:
        study: The study.
        root: The folder of the folders of its jobs.
        engine: Does the jobs.
        stack: How many seeds of a cell train as one program.
        record: Its record, if it has one.
    """

    def __init__(self, study: Reproduction, root: Path, engine: Engine, stack: int, record: TableRecord | None) -> None:
        self.study, self.root, self.engine, self.stack, self.record = study, root, engine, stack, record
        self.ledger = None if record is None else record.ledger
        self.recorded = 0

    def do(self) -> Findings:
        """Do what is not finished yet; the record is written with every run that ends."""
        from rich.console import Console

        from drawgrad.cli.jobs import JobsDisplay
        from drawgrad.studies.engine import run

        with JobsDisplay(Console(), self.study.count()) as display:

            def do(jobs: Sequence[Job]) -> Iterator[Outcome]:
                return run(
                    jobs, self.root, engine=self.engine, listener=display.told, ledger=self.ledger,
                    before=self.study.check_data, stack=self.stack,
                )  # fmt: skip

            def ended(outcome: Outcome) -> None:
                display.ended(outcome)
                self._count(outcome)
                if self.record is not None and not outcome.earlier:
                    self.record.update()

            return self.study.do(do, ended)

    def finished(self) -> Findings:
        """What is finished already."""
        from drawgrad.studies.engine import finished

        return self.study.do(lambda jobs: finished(jobs, self.root, self.ledger), self._count)

    def _count(self, outcome: Outcome) -> None:
        self.recorded += outcome.recorded


def _say(findings: Findings, desk: _Desk) -> None:
    page = findings.page()
    desk.root.mkdir(parents=True, exist_ok=True)
    picture = page.save(desk.root)
    lines = [page.title, "", page.text(), "", *findings.table.text(), f"Protocol: {findings.how}."]
    claims = findings.claims()
    if claims:
        lines += [
            "",
            "Claims of the paper, by paired t-tests over seeds, p corrected for their number (Holm)",
            "",
            claims,
        ]
    for failure in findings.failures():
        lines.append(f"failed: {failure.row}, {failure.column}, seed {failure.seed}: {failure.failure}")
    lines += ["", f"{findings.count()} runs of {findings.seconds() / 60:.0f} minutes in all. Figure: {picture}"]
    if desk.record is not None:
        if desk.recorded:
            lines.append(f"{desk.recorded} of them were not done here: {desk.record.ledger.path} has them.")
        path = desk.record.update()
        lines.append("No record: no run is finished." if path is None else f"Record: {path}")
    click.echo("\n".join(lines))
