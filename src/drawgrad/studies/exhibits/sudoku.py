"""Handwritten Sudoku without image labels: what a reader is worth that was told the values of blank cells alone.

References:
    Wang, Donti, Wilder, Kolter. SATNet: bridging deep learning and logical reasoning using a differentiable
    satisfiability solver. ICML 2019.
    Palm, Paquet, Winther. Recurrent relational networks. NeurIPS 2018.
    Mulamba, Mandi, Canoy, Guns. Hybrid classification and reasoning for image-based constraint solving. CPAIOR 2020
    (the most likely solution under a classifier; its figures were not at hand).
    Chang, Flokas, Lipson, Spranger. Assessing SATNet's ability to solve the symbol grounding problem. NeurIPS 2020.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from drawgrad.studies.data.sudoku import LEVELS
from drawgrad.studies.drawing import COLORS, plain_axes, sign
from drawgrad.studies.exhibits.board import ROUNDS, draw_board
from drawgrad.studies.exhibits.study import Found, Sweep
from drawgrad.studies.records import Measurement, mean_of
from drawgrad.studies.tasks.sudoku.evaluation import TEMPERATURES
from drawgrad.studies.tasks.sudoku.recipe import GOAL, SudokuRecipe

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.figure import Figure

__all__ = ["PRINTED", "Sudoku", "SudokuTeachers", "recipe_of"]

WAYS = {
    "read": "reading, then solving",
    "annealed": "annealed propagation",
    "likely": "most likely solution",
    "single": "most likely reading with a single solution",
}
NO_IMAGE = "no image seen: givens that follow from the blank cells"
PRINTED = {
    "printed: SATNet, labels not leaked": 0.0,
    "printed: SATNet": 63.2,
    "printed: recurrent relational network, labels": 99.8,
}
"""Boards of SATNet's test set, 31 to 42 givens, solved: as SATNet's paper has it, as Chang et al. found it without the
labels that leak, and as the table of IRED (Du et al., ICML 2024) has the network that is told the digits."""


@dataclass(frozen=True)
class Sudoku(Sweep):
    """Readers that are taught by all completions of the blank cells, and boards solved with them.

    Args:
        seeds: Readers.
        recipe: What is done with each; its teacher is replaced.
    """

    recipe: SudokuRecipe = field(default_factory=lambda: SudokuRecipe("all completions"))
    name: ClassVar[str] = "sudoku"
    title: ClassVar[str] = "Handwritten Sudoku, no image labeled: boards solved, by level"
    teachers: ClassVar[tuple[str, ...]] = ("all completions",)
    printed: ClassVar[Mapping[str, float]] = PRINTED

    def cases(self) -> Mapping[str, SudokuRecipe]:
        """One for each teacher."""
        return {_folder(teacher): replace(self.recipe, teacher=teacher) for teacher in self.teachers}

    def cells(self, found: Found) -> list[Measurement]:
        """Boards by way and level; digits, and what it took to read most of them."""
        cells = []
        for teacher, of in self._finished(found).items():
            for way, words in WAYS.items():
                row = f"{teacher}: {words}" if len(self.teachers) > 1 else words
                for level in LEVELS:
                    shares = [100 * one["boards"][level][way] for one in of if level in one["boards"]]
                    if shares:
                        cells.append(mean_of(row, level, shares, "%"))
            row = f"{teacher}: {WAYS['read']}" if len(self.teachers) > 1 else WAYS["read"]
            cells.append(mean_of(row, "digits", [100 * one["digits"] for one in of], "%"))
            reached = [(one["reached"], one["evaluations"]) for one in of]
            if all(when is not None for when, _ in reached):
                goal = f"{GOAL:.0%}"
                cells.append(mean_of(row, f"seconds to {goal}", [when[1] for when, _ in reached], "s"))
                cells.append(mean_of(row, f"engine calls to {goal}", [when[0] * calls for when, calls in reached]))
        if self.printed:
            of = [one for every in found.values() for one in every]
            for level in LEVELS:
                shares = [100 * one["boards"][level]["determined"] for one in of if level in one["boards"]]
                if shares:
                    cells.append(mean_of(NO_IMAGE, level, shares, "%"))
        for row, share in self.printed.items():
            cells.append(Measurement(row, "printed", share, 0.0, "%", 1))
        return cells

    def _finished(self, found: Found) -> Found:
        """By teacher."""
        return {teacher: found[_folder(teacher)] for teacher in self.teachers if _folder(teacher) in found}

    def note(self, found: Found) -> str:
        """The set-up."""
        return (
            f"Shares of the last {self.recipe.boards} boards of each level whose 81 cells all came out right, from "
            "digits of MNIST's test images; mean and standard error over seeds. Training sees boards of the levels "
            "kids and easy, as images of their givens and the values of their blank cells, each board once. The last "
            f"columns are what it took to read {GOAL:.0%} of unseen digits, in seconds of one processor. Printed "
            "figures are for SATNet's boards."
        )

    def draw(self, figure: Figure, found: Found) -> None:
        """A board on its way to the solution; below, how soft answers become hard ones, by the first teacher."""
        parts: Any = figure.subfigures(2, 1)
        upper, lower = parts
        results = next(iter(self._finished(found).values()))
        draw_board(upper.subplots(1, len(ROUNDS) + 1), results[0]["example"])
        left, right = lower.subplots(1, 2)
        for color, level in zip(COLORS[1:], LEVELS, strict=False):
            annealing = [one["boards"][level]["annealing"] for one in results if level in one["boards"]]
            for axes, what in ((left, "right"), (right, "gap")):
                points = [mean_of("", "", values) for values in zip(*(each[what] for each in annealing), strict=True)]
                axes.errorbar(TEMPERATURES[: len(points)], [p.value for p in points], yerr=[p.spread for p in points],
                              color=color, marker="o", ms=3, lw=1.4, label=level)  # fmt: skip
        ticks = (2, 1, 0.5, 0.2, 0.1, 0.05)
        for axes in (left, right):
            axes.set(xscale="log", ylim=(-0.03, 1.03), xticks=ticks, xticklabels=ticks)
            axes.minorticks_off()
            axes.invert_xaxis()
        plain_axes(left, "Boards that are right", "temperature τ, falling", "share")
        plain_axes(right, "Soft answers against the most likely solution", "temperature τ, falling", "distance")
        right.legend(frameon=False, fontsize=8, loc="upper right")

    def signs(self) -> list[Artist]:
        """Of the lower half."""
        taught = f", taught by {self.teachers[0]}" if len(self.teachers) > 1 else ""
        return [sign(f"mean and standard error over seeds{taught}", marker="o", ms=3, lw=1.4)]

    @property
    def size(self) -> tuple[float, float]:
        """Five boards wide."""
        return 13.0, 6.6


def recipe_of(steps: int | None, data_dir: Path | None) -> SudokuRecipe:
    """The recipe with so many steps at most, or with a pass over all training boards."""
    recipe = SudokuRecipe("all completions", data_dir=data_dir)
    return recipe if steps is None else replace(recipe, most=steps * recipe.batch)


def _folder(teacher: str) -> str:
    return teacher.replace(", ", "-").replace(" ", "-")


@dataclass(frozen=True)
class SudokuTeachers(Sudoku):
    """The same with other teachers: soft propagation, and the hard engine in the loop."""

    name: ClassVar[str] = "sudoku-teachers"
    title: ClassVar[str] = "Handwritten Sudoku by other teachers: boards solved, by level"
    teachers: ClassVar[tuple[str, ...]] = (
        "soft propagation", "solver, straight-through", "solver, what it gets wrong", "solver, leave-one-out",
    )  # fmt: skip
    printed: ClassVar[Mapping[str, float]] = {}
