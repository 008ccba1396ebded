"""The record of a table: its single runs, from which a study goes on, and what they come to."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from drawgrad.studies.engine import Ledger
from drawgrad.studies.files import held
from drawgrad.studies.records import Measurement, Provenance, Record, mean_of, read, together, write
from drawgrad.studies.reproduction.findings import Findings
from drawgrad.studies.reproduction.reproduction import Reproduction

__all__ = ["TableRecord", "TableRecordError", "measurements"]


class TableRecordError(ValueError):
    """A record of a table is damaged."""


class TableRecord:
    """What a folder of records holds of a table.

    `runs/<table>.jsonl` is the ledger of all runs and trials, by any protocol. `<table>.json` has the figures by one
    protocol, whose name stands in that of the file unless it is the usual one.

    Args:
        study: The table and how it is done; it may have fewer cells than the record.
        folder: Of the records.
        command: The command line that repeats the study, with `{}` for the number of seeds.

    Raises:
        LedgerError, TableRecordError: If one of the files is damaged.
        OSError: If one cannot be read.
    """

    def __init__(self, study: Reproduction, folder: Path, command: str) -> None:
        self.study, self.folder, self.command = study, folder, command
        self.path = folder / f"{study.name}.json"
        self.ledger = Ledger(folder / "runs" / f"{study.table.name}.jsonl")
        self._figures()

    def _figures(self) -> Record | None:
        try:
            return read(self.path) if self.path.exists() else None
        except ValueError as error:
            raise TableRecordError(f"{error}; restore it, or take another folder") from error

    def update(self) -> Path | None:
        """Write the figures of all runs in the ledger that are of this protocol.

        What the file holds besides stays: cells that no run is there of, as runs of an earlier version of the package
        are none, and those of which there are fewer.

        Returns:
            Path of the file; None if no run is finished yet.

        Raises:
            TableRecordError: If the file is damaged; it is not replaced then.
            OSError: If it cannot be written.
        """
        findings = self.study.recorded(self.ledger)
        runs = [each for each in findings.results if each.value is not None]
        if not runs:
            return None
        with held(self.folder):
            before = self._figures()
            cells, kept = _merged(measurements(findings), () if before is None else before.measurements)
            origins = [Provenance(**each.origin) for each in (*runs, *findings.trials) if each.origin]
            seconds = findings.seconds()
            command = self.command.format(1 + max(each.seed for each in runs))
            if before is not None and kept:
                origins.append(Provenance(**{name: getattr(before, name) for name in Provenance.__annotations__}))
                seconds = max(seconds, before.seconds)
            return write(
                self.study.name, findings.table.with_unit(findings.table.paper), cells,
                spread="standard error over seeds", command=command, seconds=seconds, folder=self.folder,
                origin=together(origins),
            )  # fmt: skip


def measurements(findings: Findings) -> list[Measurement]:
    """The table as a record has it: a case for each method and each claim, in the order of the table.

    The quantities of a method are, for each row R of the table that has it: `R, evaluations`; `R, printed`; and of
    cells that were done `R`, `R, learning rate`, `R, seconds` of a run, and `R, failed`. Those of a claim are
    `printed gain`, `gain` and `p`, corrected.
    """
    found = []
    for cell in findings.cells:
        runs = [each for each in findings.results if (each.row, each.column) == (cell.row, cell.column)]
        done = [each for each in runs if each.value is not None]
        case, row = cell.column, cell.row
        found.append(Measurement(case, f"{row}, evaluations", cell.recipe.evaluations(), 0.0, "", 1))
        if cell.printed is not None:
            found.append(Measurement(case, f"{row}, printed", cell.printed, 0.0, "", 1))
        if done:
            found.append(mean_of(case, row, [each.value for each in done if each.value is not None]))
            rates = {each.lr for each in done if each.lr is not None}
            found += [Measurement(case, f"{row}, learning rate", rate, 0.0, "", len(done)) for rate in rates]
            found.append(mean_of(case, f"{row}, seconds", [each.seconds for each in done], "s"))
        if runs:
            failed = sum(each.failure is not None for each in runs)
            found.append(Measurement(case, f"{row}, failed", failed, 0.0, "", len(runs)))
    for verdict in findings.verdicts():
        case = str(verdict.claim)
        if verdict.printed is not None:
            found.append(Measurement(case, "printed gain", verdict.printed, 0.0, "", 1))
        found.append(Measurement(case, "gain", verdict.gain, verdict.error or 0.0, "", verdict.seeds))
        if verdict.corrected is not None:
            found.append(Measurement(case, "p", verdict.corrected, 0.0, "", verdict.seeds))
    return found


def _merged(new: Sequence[Measurement], old: Sequence[Measurement]) -> tuple[list[Measurement], bool]:
    """The new cells and what only the old ones know, and whether there is such."""
    by_name = {(cell.case, cell.quantity): cell for cell in new}
    kept = False
    for cell in old:
        name = cell.case, cell.quantity
        if name not in by_name or by_name[name].samples < cell.samples:
            by_name[name] = cell
            kept = True
    return list(by_name.values()), kept
