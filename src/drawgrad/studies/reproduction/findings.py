"""What a reproduction found: means and standard errors over seeds, beside the printed figures, and tests of claims."""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from drawgrad._tables import text_table, with_spread
from drawgrad.studies.drawing import COLORS, INK, plain_axes
from drawgrad.studies.engine import Outcome
from drawgrad.studies.exhibits.page import Page
from drawgrad.studies.reproduction.table import Picture

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.figure import Figure

    from drawgrad.studies.reproduction.table import Cell, Claim, Table

__all__ = ["LEVEL", "Findings", "RunResult", "Verdict", "holm", "words_of"]

LEVEL = 0.05
"""Probability that any claim is called true or false by chance."""


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
            found.append((claim, difference, statistics.fmean(gains), error, len(gains), _p_of_no_difference(gains)))
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
        size = (max(7.0, 1.6 + 2.6 * min(len(self._rows()), 4)), 5.2)
        picture = self.table.picture or Picture(_draw, _signs, size)
        return Page(
            self.table.with_unit(self.table.title), self.header(), self.lines(),
            " ".join([*self.table.text(), f"Protocol: {self.how}."]),
            lambda figure: picture.draw(figure, self), picture.signs, picture.size,
        )  # fmt: skip


def words_of(gain: float, p: float | None) -> str:
    """What is to be said of a claim, at a level of 5 % for all claims together.

    Args:
        gain: By how much the better one is better.
        p: Corrected for the number of claims; None with one seed.
    """
    if p is None:
        return "one seed"
    if p >= LEVEL:
        return "undecided"
    return "holds" if gain > 0 else "the reverse"


def standard_error(values: list[float]) -> float:
    """Of the mean of two values or more."""
    return statistics.stdev(values) / math.sqrt(len(values))


def _p_of_no_difference(gains: list[float]) -> float | None:
    """p of the two-sided t-test that the mean of paired differences is zero."""
    if len(gains) < 2:
        return None
    from scipy.stats import ttest_1samp  # type: ignore[import-untyped]

    if statistics.stdev(gains) == 0:
        return 1.0 if gains[0] == 0 else 0.0
    return float(ttest_1samp(gains, 0.0).pvalue)


def holm(ps: list[float | None]) -> list[float | None]:
    """Holm's correction of p-values for their number; None where there is none.

    Example:
        >>> holm([0.01, None, 0.04, 0.03])
        [0.03, None, 0.06, 0.06]
    """
    known = sorted((p, place) for place, p in enumerate(ps) if p is not None)
    corrected: list[float | None] = [None] * len(ps)
    highest = 0.0
    for rank, (p, place) in enumerate(known):
        highest = max(highest, min(1.0, p * (len(known) - rank)))
        corrected[place] = highest
    return corrected


def _signs() -> list[Artist]:
    from matplotlib.lines import Line2D

    return [
        Line2D([], [], marker="o", ls="", mfc="white", mec=INK, label="printed"),
        Line2D([], [], marker="o", ls="", color=COLORS[1], label="ours, mean and standard error over seeds"),
    ]


def _draw(figure: Figure, findings: Findings) -> None:
    rows = list(dict.fromkeys(cell.row for cell in findings.cells))
    columns = list(dict.fromkeys(cell.column for cell in findings.cells))
    panels = figure.subplots(-(-len(rows) // 4), min(len(rows), 4), squeeze=False, sharey=True)
    for axes in panels.flat[len(rows) :]:
        axes.set_visible(False)
    for axes, row in zip(panels.flat, rows, strict=False):
        for place, column in enumerate(columns):
            values = list(findings.values(row, column).values())
            if values:
                error = standard_error(values) if len(values) > 1 else 0.0
                axes.errorbar(statistics.fmean(values), place, xerr=error, fmt="o", color=COLORS[1], ms=5)
        for cell in findings.cells:
            if cell.row == row and cell.printed is not None:
                axes.plot(cell.printed, columns.index(cell.column), "o", mfc="none", mec=INK, ms=6)
        axes.set_yticks(range(len(columns)), columns)
        axes.set_ylim(len(columns) - 0.5, -0.5)
        plain_axes(axes, row, findings.table.unit, "")
