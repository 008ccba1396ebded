"""What a reproduction found: means and standard errors over seeds, beside the printed figures, and tests of claims."""

from __future__ import annotations

import statistics
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from drawgrad._tables import text_table, with_spread
from drawgrad.studies.engine import Outcome
from drawgrad.studies.exhibits.page import Page
from drawgrad.studies.reproduction.cell import Cell, Claim
from drawgrad.studies.reproduction.picture import usual_picture
from drawgrad.studies.reproduction.significance import holm, p_of_no_difference, standard_error, words_of
from drawgrad.studies.reproduction.table import Table

__all__ = ["Findings", "RunResult", "Verdict"]


@dataclass(frozen=True)
class RunResult:
    """One run of a cell.

    Args:
        row: Of the cell.
        column: Of the cell.
        seed: Of the run.
        lr: Its learning rate; None if none of the trials came to an end.
        value: What was measured; None if the run failed.
        error: Its standard error over the images.
        seconds: What the run took.
        failure: Why it failed.
        key: Of the job.
        origin: Where the result comes from.
    """

    row: str
    column: str
    seed: int
    lr: float | None
    value: float | None = None
    error: float | None = None
    seconds: float = 0.0
    failure: str | None = None
    key: str = ""
    origin: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def of(cls, cell: Cell, lr: float, outcome: Outcome) -> RunResult:
        """What a job found for a cell."""
        result: dict[str, Any] = outcome.result or {}
        error = "error" if cell.quantity == "value" else f"{cell.quantity}_error"
        return cls(
            cell.row, cell.column, outcome.job.seed, lr, result.get(cell.quantity), result.get(error), outcome.seconds,
            outcome.failure or result.get("diverged"), outcome.job.key, outcome.origin or {},
        )  # fmt: skip


@dataclass(frozen=True)
class Verdict:
    """What the runs say of a claim.

    Args:
        claim: The claim.
        printed: By how much the better one is better in the paper; None where it does not say.
        gain: By how much it is better here, mean over the seeds that both have.
        error: Standard error of the gain.
        seeds: How many seeds both have.
        p: Of the paired t-test of no difference, two-sided; None with fewer than two seeds.
        corrected: p after Holm's correction for all claims of the table that could be tested.
    """

    claim: Claim
    printed: float | None
    gain: float
    error: float | None
    seeds: int
    p: float | None
    corrected: float | None

    @property
    def words(self) -> str:
        """In a word or two, at a level of 5 % for all claims together."""
        return words_of(self.gain, self.corrected)


@dataclass(frozen=True)
class Findings:
    """The runs of a table and what they say.

    Args:
        table: The table.
        how: How its cells were trained, in words.
        cells: Those that were done.
        results: Of the runs.
        trials: Of the runs that chose the learning rates.
    """

    table: Table
    how: str
    cells: tuple[Cell, ...]
    results: tuple[RunResult, ...]
    trials: tuple[RunResult, ...] = ()

    @property
    def unit(self) -> str:
        """Of the figures."""
        return self.table.unit

    def values(self, row: str, column: str) -> dict[int, float]:
        """What the runs of a cell measured, by seed."""
        return {
            each.seed: each.value
            for each in self.results
            if (each.row, each.column) == (row, column) and each.value is not None
        }

    def failures(self) -> list[RunResult]:
        """The runs that failed, one that several cells share under the first of them."""
        failed = [each for each in self.results if each.failure is not None]
        return list({(each.key or (each.row, each.column)): each for each in reversed(failed)}.values())[::-1]

    def seconds(self) -> float:
        """What all runs took together, with those that chose learning rates, on one core each."""
        return sum({each.key: each.seconds for each in (*self.results, *self.trials)}.values())

    def count(self) -> int:
        """How many runs there are, with those that chose learning rates."""
        return len({each.key for each in (*self.results, *self.trials) if each.key})

    def header(self) -> tuple[str, ...]:
        """Of :meth:`lines`."""
        found = ["", "evaluations"]
        for row, printed in self._rows().items():
            found += [f"{row}, printed", "ours"] if printed else [row]
        return tuple(found)

    def _rows(self) -> dict[str, bool]:
        """The rows, in order, and whether the paper has a figure in any of their cells."""
        found: dict[str, bool] = {}
        for cell in self.cells:
            found[cell.row] = found.get(cell.row, False) or cell.printed is not None
        return found

    def lines(self) -> list[list[str]]:
        """The table, a line for each method: evaluations of the model a step and image, printed figures, and ours."""
        found = []
        for column in dict.fromkeys(cell.column for cell in self.cells):
            of = {cell.row: cell for cell in self.cells if cell.column == column}
            counts = sorted({cell.recipe.evaluations() for cell in of.values()})
            line = [column, " or ".join(map(str, counts))]
            for row, printed in self._rows().items():
                cell = of.get(row)
                if printed:
                    line.append("" if cell is None or cell.printed is None else f"{cell.printed:.1f}")
                line.append("" if cell is None else self._ours(row, column))
            found.append(line)
        return found

    def _ours(self, row: str, column: str) -> str:
        values = list(self.values(row, column).values())
        failed = sum((each.row, each.column) == (row, column) and each.failure is not None for each in self.results)
        text = f", {failed} failed" if failed else ""
        if not values:
            return text.removeprefix(", ") or "not done"
        if len(values) == 1:
            return f"{values[0]:.{max(1, self.table.places - 1)}f} (1){text}"
        mean = with_spread(statistics.fmean(values), standard_error(values), places=self.table.places)
        return f"{mean} ({len(values)}){text}"

    def verdicts(self) -> list[Verdict]:
        """What the runs say of each claim of which both cells have runs."""
        printed = {(cell.row, cell.column): cell.printed for cell in self.table.cells}
        found = []
        for claim in self.table.claims:
            better, worse = self.values(claim.row, claim.better), self.values(claim.row, claim.worse)
            sign = self.table.sign
            gains = [sign * (worse[seed] - better[seed]) for seed in sorted(better.keys() & worse.keys())]
            if not gains:
                continue
            of_better, of_worse = printed[claim.row, claim.better], printed[claim.row, claim.worse]
            difference = None if of_better is None or of_worse is None else sign * (of_worse - of_better)
            error = standard_error(gains) if len(gains) > 1 else None
            found.append((claim, difference, statistics.fmean(gains), error, len(gains), p_of_no_difference(gains)))
        corrected = holm([p for *_, p in found])
        return [Verdict(*fields, after) for fields, after in zip(found, corrected, strict=True)]

    def claims(self) -> str:
        """What the runs say of the claims, as a table; empty if there is nothing to say."""
        rows = []
        for each in self.verdicts():
            gain = with_spread(each.gain, each.error or 0.0, places=self.table.places)
            printed = "" if each.printed is None else f"{each.printed:.1f}"
            p = "" if each.corrected is None else f"{each.corrected:.2g}"
            rows.append((str(each.claim), printed, gain, str(each.seeds), p, each.words))
        headings = ("claim", "printed gain", "our gain", "seeds", "p", "")
        return text_table(headings, rows, align="<>>>><") if rows else ""

    def page(self) -> Page:
        """The table with its figure; usually printed figures are hollow markers in it, and ours are full ones."""
        picture = self.table.picture or usual_picture(self)
        return Page(
            self.table.with_unit(self.table.title), self.header(), self.lines(),
            " ".join([*self.table.text(), f"Protocol: {self.how}."]),
            lambda figure: picture.draw(figure, self), picture.signs, picture.size,
        )  # fmt: skip
