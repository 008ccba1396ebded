"""Doing a table: first the learning rate of each cell, then its seeds, each run a job that is done once."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from drawgrad.studies.engine import Job, Outcome
from drawgrad.studies.reproduction.findings import Findings, RunResult
from drawgrad.studies.reproduction.recipes import Training
from drawgrad.studies.reproduction.table import Cell, Protocol, Table

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
        for cell in self.cells if len(self.protocol.lrs) > 1 else ():
            for lr in self.protocol.lrs:
                recipe = replace(self._recipe(cell, lr), part="valid").changed(**self.protocol.trial)
                recipe = recipe if self.steps is None else recipe.lasting(self.steps // 5)
                found[Job(f"{cell.name}/lr-{lr:g}", recipe, TRIAL_SEED)] = (cell, lr)
        return found

    def runs(self, lrs: dict[Cell, float]) -> dict[Job, tuple[Cell, float]]:
        """The runs that are reported: all cells with the first seed, then all with the second, ..."""
        return {
            Job(f"{cell.name}/seed-{seed}", self._recipe(cell, lr), seed): (cell, lr)
            for seed in range(self.seeds)
            for cell, lr in lrs.items()
        }

    def count(self) -> int:
        """How many runs there are in all."""
        return len(self.trials()) + self.seeds * len(self.cells)

    def how(self) -> str:
        """How the cells are trained, in words."""
        return self.protocol.text + ("" if self.steps is None else f"; but {self.steps} steps, and a fifth in a trial")

    def do(self, engine: Engine, listener: Callable[[Outcome], None] = lambda outcome: None) -> Findings:
        """Do what is not done yet.

        Args:
            engine: Does jobs, and yields how they ended.
            listener: Told of every job that ended.

        Returns:
            What came out; the same whenever and however often it is done.
        """
        trials = self.trials()
        values: dict[Cell, dict[float, float]] = {cell: {} for cell in self.cells}
        failures: dict[Cell, str] = {}
        for outcome in engine(list(trials)):
            listener(outcome)
            cell, lr = trials[outcome.job]
            result = outcome.result or {}
            if "value" in result:
                values[cell][lr] = result["value"]
            else:
                failures[cell] = outcome.failure or result["diverged"]
        lrs = {}
        for cell, found in values.items():
            if not trials:
                (lrs[cell],) = self.protocol.lrs
            elif found:
                lrs[cell] = min(found, key=lambda lr: (found[lr], lr))
        runs = self.runs(lrs)
        results = [
            RunResult(cell.row, cell.column, TRIAL_SEED, None, failure=failures[cell])
            for cell in self.cells
            if cell not in lrs
        ]
        for outcome in engine(list(runs)):
            listener(outcome)
            cell, lr = runs[outcome.job]
            results.append(RunResult.of(cell.row, cell.column, lr, outcome))
        order = {(cell.row, cell.column): number for number, cell in enumerate(self.cells)}
        results.sort(key=lambda each: (order[each.row, each.column], each.seed))
        return Findings(self.table, self.how(), self.cells, tuple(results))

    def _recipe(self, cell: Cell, lr: float) -> Training:
        recipe = replace(cell.recipe.changed(**self.protocol.settings, lr=lr), data_dir=self.data_dir)
        recipe = recipe if self.steps is None else recipe.lasting(self.steps)
        return recipe.changed(**self.settings)
