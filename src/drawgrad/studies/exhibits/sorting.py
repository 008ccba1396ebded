"""Sorting numbers with relaxed permutations, against what is printed about it.

A network that sees one number at a time learns to sort lists of one length, through Gumbel-Sinkhorn samples in
training and the best permutation in the test. The set-up is that of the authors' code: one hidden layer of 32 units,
500 steps of Adam, 10 lists and 5 samples of each a step, temperature 1, ten iterations of Sinkhorn, except that the
rate of 0.1 falls along a cosine to zero: kept up, its noise leaves the slopes of neighboring places in disorder.

References:
    Mena, Belanger, Linderman, Snoek. Learning latent permutations with Gumbel-Sinkhorn networks. ICLR 2018.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from drawgrad.studies.drawing import COLORS, FADED, plain_axes, sign
from drawgrad.studies.exhibits.study import Found, Sweep
from drawgrad.studies.records import Measurement, mean_of
from drawgrad.studies.tasks.sorting import SortingConfig, errors, train_sorter

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.figure import Figure

__all__ = ["INTERVALS", "LENGTHS", "PRINTED", "STEPS", "Sorting", "SortingRecipe"]

LENGTHS = (5, 10, 15, 80, 100, 120)
"""Those of the paper's table."""
STEPS = 500
INTERVALS = ((0, 1), (0, 10), (0, 1000), (1, 2), (10, 11), (100, 101), (1000, 1001))
"""Of the numbers in the test; all training is on the first one."""
PRINTED = dict.fromkeys(LENGTHS, 0.0)
"""Share of lists with an error on the first interval, in the table of a public port of the authors' code to PyTorch,
github.com/HeddaCohenIndelman/Learning-Gumbel-Sinkhorn-Permutations-w-Pytorch: `.0` for each length."""
LISTS = 200


@dataclass(frozen=True)
class SortingRecipe:
    """Train one sorter, and count its errors on every interval.

    Args:
        numbers: In a list.
        steps: Of the training.
        lists: Of the test, for each interval.
    """

    numbers: int
    steps: int = STEPS
    lists: int = LISTS

    def run(self, seed: int, folder: Path, listener: Callable[[str], None]) -> dict[str, Any]:
        """Train and test; see :class:`~drawgrad.studies.engine.Recipe`."""
        config = SortingConfig(self.numbers, steps=self.steps)

        def tell(step: int) -> None:
            if step % 20 == 0:
                listener(f"step {step} of {self.steps}")

        sorter, losses = train_sorter(config, seed, tell)
        found = {}
        for low, high in INTERVALS:
            listener(f"numbers from {low} to {high}")
            found[f"{low}-{high}"] = vars(errors(sorter, low, high, self.lists, seed=seed + 1000))
        return {"errors": found, "losses": losses}


@dataclass(frozen=True)
class Sorting(Sweep):
    """Sorters of all lengths.

    Args:
        seeds: Sorters of each length.
        steps: Of the training of each.
        lengths: How many numbers are in a list.
        lists: Of the test, for each interval.
    """

    steps: int = STEPS
    lengths: tuple[int, ...] = LENGTHS
    lists: int = LISTS
    name: ClassVar[str] = "sorting"
    title: ClassVar[str] = "Sorting n numbers through relaxed permutations: shares of errors"

    def cases(self) -> Mapping[str, SortingRecipe]:
        """One for each length."""
        return {f"{n}-numbers": SortingRecipe(n, self.steps, self.lists) for n in self.lengths}

    def cells(self, found: Found) -> list[Measurement]:
        """Errors by interval and length, and what is printed."""
        cells = []
        for n, of in self._by_length(found).items():
            column = f"n = {n}"
            if n in PRINTED:
                cells.append(Measurement("lists with an error, U(0, 1), printed", column, PRINTED[n], 0.0, "", 1))
            for low, high in INTERVALS:
                seen = [one["errors"][f"{low}-{high}"] for one in of]
                of_interval = f"U({low}, {high})"
                cells.append(mean_of(f"lists with an error, {of_interval}", column, [e["any_wrong"] for e in seen]))
                if (low, high) == INTERVALS[0]:
                    cells.append(mean_of(f"wrong places, {of_interval}", column, [e["wrong"] for e in seen]))
        return cells

    def note(self, found: Found) -> str:
        """The set-up, and where the printed row comes from."""
        return (
            f"Share of {self.lists} lists that are not sorted, and of places with a wrong number, for numbers from "
            f"several intervals; mean and standard error over {self.words(found)}. "
            f"Trained on U(0, 1) for {self.steps} steps with the set-up of the authors' code. The printed row is that "
            "of a public port of this code to PyTorch; the table of the paper itself was not at hand. Deviations: the "
            "learning rate falls along a cosine from the 0.1 that the code keeps up; errors are counted on "
            f"{self.lists} lists (50 in the code), in float64, without which numbers from 1000 to 1001 would coincide."
        )

    def draw(self, figure: Figure, found: Found) -> None:
        """Errors over the length, and the loss along the training."""
        left, right = figure.subplots(1, 2)
        lengths = self._by_length(found)
        floor = 0.5 / self.lists
        for color, (low, high) in zip(COLORS, INTERVALS, strict=False):
            cells = {n: mean_of("", "", [one["errors"][f"{low}-{high}"]["any_wrong"] for one in of])
                     for n, of in lengths.items()}  # fmt: skip
            values = [max(cell.value, floor) for cell in cells.values()]
            spreads = [cell.spread for cell in cells.values()]
            down = [min(spread, value - floor) for spread, value in zip(spreads, values, strict=True)]
            left.errorbar(list(cells), values, yerr=(down, spreads), color=color, marker="o", ms=4, lw=1.4,
                          capsize=2, label=f"U({low}, {high})")  # fmt: skip
        left.axhline(floor, color=FADED, lw=0.8, ls=":")
        left.text(min(lengths), floor * 1.1, "no error seen", color=FADED, fontsize=8, va="bottom")
        left.set(yscale="log", ylim=(floor * 0.7, 1.3), xticks=[n for n in lengths if n != 10])
        plain_axes(left, "Lists with an error", "numbers in a list", "share of the lists")
        left.legend(frameon=False, fontsize=8, loc="center right")
        for color, (n, of) in zip(COLORS, lengths.items(), strict=False):
            smooth = _smoothed(
                [sum(values) / len(values) for values in zip(*(one["losses"] for one in of), strict=True)]
            )
            right.plot(range(1, len(smooth) + 1), smooth, color=color, lw=1.4, label=f"n = {n}")
        right.set(yscale="log")
        plain_axes(right, "Training", "step", "squared difference to the sorted list")
        right.legend(frameon=False, fontsize=8, ncols=2)

    def signs(self) -> list[Artist]:
        """Those of the left panel."""
        return [sign("mean and standard error over seeds", marker="o", ms=4, lw=1.4)]

    @property
    def size(self) -> tuple[float, float]:
        """Two panels."""
        return 10.0, 4.3

    def _by_length(self, found: Found) -> dict[int, list[dict[str, Any]]]:
        return {n: found[f"{n}-numbers"] for n in self.lengths if f"{n}-numbers" in found}


def _smoothed(values: list[float], window: int = 10) -> list[float]:
    """Means of the last ones."""
    parts = (values[max(0, end - window) : end] for end in range(1, len(values) + 1))
    return [sum(part) / len(part) for part in parts]
