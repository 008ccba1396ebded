"""Doing a table: first the learning rate of each cell, then its seeds, each run a job that is done once."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain
from pathlib import Path
from typing import Any

from drawgrad.studies.engine import Job, Ledger, Outcome
from drawgrad.studies.reproduction.cell import Cell, slug
from drawgrad.studies.reproduction.findings import Findings, RunResult
from drawgrad.studies.reproduction.recipes import CellRecipe
from drawgrad.studies.reproduction.table import Protocol, Table

__all__ = ["TRIAL_SEED", "Reproduction"]

TRIAL_SEED = 2**20
"""Of the runs that choose a learning rate: none of those that are reported."""

Engine = Callable[[Sequence[Job]], Iterator[Outcome]]


@dataclass(frozen=True)
class Reproduction:
    """A table, or some of its cells, done by a protocol.

    Args:
        table: The table.
        protocol: How its cells are trained.
        cells: Those that are done.
        seeds: How many runs a cell has, with seeds 0, 1, ...
        settings: In place of the protocol's.
        steps: Of a run, in place of the protocol's; a trial has a fifth of them.
        data_dir: Folder with the data files.
    """

    table: Table
    protocol: Protocol
    cells: tuple[Cell, ...]
    seeds: int
    settings: Mapping[str, Any] = field(default_factory=dict)
    steps: int | None = None
    data_dir: Path | None = None

    def trials(self) -> dict[Job, tuple[Cell, float]]:
        """The runs that choose the learning rates, where there is more than one."""
        found = {}
        for cell in self._leaders():
            for lr in lrs if len(lrs := self._lrs(cell)) > 1 else ():
                recipe = replace(self._recipe(cell, lr), part="valid").changed(**self.protocol.trial)
                recipe = recipe if self.steps is None else recipe.lasting(self.steps // 5)
                found[Job(f"{cell.name}/lr-{lr:g}", recipe, TRIAL_SEED)] = (cell, lr)
        return found

    def runs(self, lrs: dict[Cell, float]) -> dict[Job, tuple[Cell, float]]:
        """The runs that are reported: all cells with the first seed, then all with the second, ...

        Args:
            lrs: The learning rates of cells, the first ones that have their recipe.
        """
        return {
            Job(f"{cell.name}/seed-{seed}", self._recipe(cell, lr), seed): (cell, lr)
            for seed in range(self.seeds)
            for cell, lr in lrs.items()
        }

    def count(self) -> int:
        """How many runs there are in all."""
        return len(self.trials()) + self.seeds * len(self._leaders())

    def check_data(self, jobs: Sequence[Job]) -> None:
        """Read the data that jobs of this study need, so that what is missing is found before the first one begins.

        Raises:
            DataError: If they are missing, damaged, or cannot be downloaded.
        """
        recipes: list[Any] = [job.recipe for job in jobs]
        for recipe in {recipe.data: recipe for recipe in recipes}.values():
            recipe.check_data()

    @property
    def name(self) -> str:
        """Of the record: that of the table, and what was not as usual."""
        usual = self.protocol is next(iter(self.table.protocols.values()))
        protocol = next(name for name, each in self.table.protocols.items() if each is self.protocol)
        words = [self.table.name] + ([] if usual else [protocol])
        words += [] if self.steps is None else [f"{self.steps} steps"]
        return slug(" ".join([*words, *map(str, self.settings.values())]))

    def how(self) -> str:
        """How the cells are trained, in words."""
        return self.protocol.text + ("" if self.steps is None else f"; but {self.steps} steps, and a fifth in a trial")

    def do(self, engine: Engine, listener: Callable[[Outcome], None] = lambda outcome: None) -> Findings:
        """Do what is not done yet.

        Args:
            engine: Does jobs, and yields how they ended; jobs that it leaves out are shown as not done.
            listener: Told of every job that ended.

        Returns:
            What came out; the same whenever and however often it is done.
        """
        trials, tried = self.trials(), dict[Cell, list[RunResult]]()
        for outcome in engine(list(trials)):
            listener(outcome)
            cell, rate = trials[outcome.job]
            tried.setdefault(cell, []).append(RunResult.of(cell, rate, outcome))
        sharing = self._leaders()
        lrs = {cell: self._best(cell, tried.get(cell, [])) for cell in sharing}
        # A choice is made once all its trials have ended.
        ended = [cell for cell in sharing if len(self._lrs(cell)) in (1, len(tried.get(cell, [])))]
        runs = self.runs({cell: lr for cell in ended if (lr := lrs[cell]) is not None})
        results = [
            RunResult(cell.row, cell.column, TRIAL_SEED, None, failure=tried[leader][-1].failure)
            for leader in ended
            if lrs[leader] is None
            for cell in sharing[leader]
        ]
        for outcome in engine(list(runs)):
            listener(outcome)
            leader, rate = runs[outcome.job]
            results += [RunResult.of(cell, rate, outcome) for cell in sharing[leader]]
        order = {(cell.row, cell.column): number for number, cell in enumerate(self.cells)}
        results.sort(key=lambda each: (order[each.row, each.column], each.seed))
        return Findings(self.table, self.how(), self.cells, tuple(results), tuple(chain.from_iterable(tried.values())))

    def recorded(self, ledger: Ledger) -> Findings:
        """What a ledger holds of all cells of the table, with all its seeds, whatever cells and seeds this study has.

        Args:
            ledger: Of runs by this protocol, and of others.
        """
        seeds = 1 + max(ledger.seeds - {TRIAL_SEED}, default=0)
        whole = replace(self, cells=self.table.cells, seeds=seeds)
        nowhere = Path()  # No folder is looked into.
        return whole.do(lambda jobs: (found for job in jobs if (found := ledger.earlier(job, nowhere)) is not None))

    def _lrs(self, cell: Cell) -> tuple[float, ...]:
        """The learning rates among which one is chosen."""
        return (cell.training["lr"],) if "lr" in cell.training else self.protocol.lrs

    def _best(self, cell: Cell, tried: Sequence[RunResult]) -> float | None:
        """The learning rate of the best trial; None if none of them came to its end."""
        if len(self._lrs(cell)) == 1:
            return self._lrs(cell)[0]
        found = [
            (self.table.sign * each.value, each.lr) for each in tried if each.value is not None and each.lr is not None
        ]
        return min(found)[1] if found else None

    def _leaders(self) -> dict[Cell, list[Cell]]:
        """The cells by the first one in the table that has their recipe: it does the runs of all of them."""
        first = {cell.recipe: cell for cell in reversed(self.table.cells)}
        found: dict[Cell, list[Cell]] = {}
        for cell in self.cells:
            found.setdefault(first[cell.recipe], []).append(cell)
        return found

    def _recipe(self, cell: Cell, lr: float) -> CellRecipe:
        settings = {**self.protocol.settings, "lr": lr, **cell.training}
        recipe = replace(cell.recipe.changed(**settings), data_dir=self.data_dir)
        recipe = recipe if self.steps is None else recipe.lasting(self.steps)
        return recipe.changed(**self.settings)
