"""Sums of handwritten numbers: a reader that was told sums alone, beside what is printed.

References:
    Manhaeve, Dumancic, Kimmig, Demeester, De Raedt. DeepProbLog: neural probabilistic logic programming. NeurIPS 2018.
    Yang, Ishay, Lee. NeurASP: embracing neural networks into answer set programming. IJCAI 2020.
    Badreddine, d'Avila Garcez, Serafini, Spranger. Logic tensor networks. Artificial Intelligence, 2022.
    Winters, Marra, Manhaeve, De Raedt. DeepStochLog: neural stochastic logic programming. AAAI 2022.
    van Krieken, Thanapalasingam, Tomczak, van Harmelen, ten Teije. A-NeSI: a scalable approximate method for
    probabilistic neurosymbolic inference. NeurIPS 2023.
    Solko-Breslin et al. Data-efficient learning with neural programs (ISED). NeurIPS 2024 (sums of two, three and four
    digits from 5,000 examples).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from drawgrad.studies.drawing import COLORS, plain_axes, sign
from drawgrad.studies.exhibits.study import Found, Sweep
from drawgrad.studies.records import Measurement, mean_of
from drawgrad.studies.tasks.sums.recipe import SumsRecipe

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.figure import Figure

__all__ = ["SmallSums", "Sums"]


@dataclass(frozen=True)
class Sums(Sweep):
    """Sums of two numbers of one, two and four digits, taught by the exact probability of the sum.

    Args:
        seeds: Readers for each.
        steps: Of each training, at most; three passes over as many sums as the images suffice for, if None.
        data_dir: Folder with `mnist/`.
    """

    steps: int | None = None
    data_dir: Path | None = None
    name: ClassVar[str] = "sums"
    title: ClassVar[str] = "Sums of two handwritten numbers of N digits: right sums"
    printed: ClassVar[Mapping[str, Mapping[str, float]]] = {
        "DeepProbLog": {"N = 1": 97.2},
        "NeurASP": {"N = 1": 97.3},
        "LTN": {"N = 1": 98.0},
        "DeepStochLog": {"N = 1": 97.9},
        "A-NeSI": {"N = 1": 97.7},
    }
    """As their papers and A-NeSI's table have them, from 30,000 pairs; the others' N = 2 and 4 were not at hand."""

    def recipes(self) -> Mapping[tuple[str, str], SumsRecipe]:
        """What is done, by row and column of the table."""
        exact = self._short(SumsRecipe("exact", epochs=3, data_dir=self.data_dir))
        found = {("exact", f"N = {digits}"): replace(exact, digits=digits) for digits in (4, 2, 1)}
        return {**found, ("exact, images not moved", "N = 1"): replace(exact, move=False)}

    def _short(self, recipe: SumsRecipe) -> SumsRecipe:
        return recipe if self.steps is None else replace(recipe, epochs=1, most=self.steps * recipe.batch)

    def cases(self) -> Mapping[str, SumsRecipe]:
        """One for each cell."""
        return {_folder(*cell): recipe for cell, recipe in self.recipes().items()}

    def cells(self, found: Found) -> list[Measurement]:
        """Right sums, and digits where they are added most simply; and what is printed."""
        cells = []
        for row, column in sorted(self.recipes()):
            of = found.get(_folder(row, column), [])
            if of:
                cells.append(mean_of(row, column, [100 * one["sums"] for one in of], "%"))
                cells.append(mean_of(f"{row}: digits", column, [100 * one["digits"] for one in of], "%"))
        for method, shares in self.printed.items():
            cells += [Measurement(f"printed: {method}", column, share, 0.0, "%", 1) for column, share in shares.items()]
        return cells

    def note(self, found: Found) -> str:
        """The set-up."""
        return (
            "Shares of sums of unseen digits that are right, the most likely sum of each; mean and standard error over "
            "seeds. Each training image is in one sum. The reader is LeNet-5, its training images are moved a little, "
            "which the printed methods do not do, or not where a row says so."
        )

    def draw(self, figure: Figure, found: Found) -> None:
        """Digits along the training."""
        axes = figure.subplots()
        for color, (cell, of) in zip(COLORS[1:], ((cell, found.get(_folder(*cell), [])) for cell in self.recipes()),
                                     strict=False):  # fmt: skip
            for one in of[:1]:
                axes.plot([point[0] for point in one["curve"]], [point[2] for point in one["curve"]], color=color,
                          lw=1.4, label=", ".join(cell))  # fmt: skip
        plain_axes(axes, "Digits that are read rightly, first seed", "step", "share")
        axes.legend(frameon=False, fontsize=8)

    def signs(self) -> list[Artist]:
        """Of the curves."""
        return [sign("unseen digits, for the spectator alone", lw=1.4)]

    @property
    def size(self) -> tuple[float, float]:
        """One panel."""
        return 7.5, 4.3


@dataclass(frozen=True)
class SmallSums(Sums):
    """Sums of two, three and four digits from 5,000 examples, taught exactly and by samples."""

    name: ClassVar[str] = "small-sums"
    title: ClassVar[str] = "Sums of n handwritten digits from 5000 examples: right sums"
    printed: ClassVar[Mapping[str, Mapping[str, float]]] = {
        method: {f"n = {n}": share for n, share in zip((2, 3, 4), shares, strict=False)}
        for method, shares in (
            ("DeepProbLog", (95.14, 93.80)),
            ("Scallop", (91.18, 91.86, 80.10)),
            ("A-NeSI", (96.66, 94.39, 78.10)),
            ("REINFORCE", (74.46, 19.40, 13.84)),
            ("IndeCateR", (95.70, 66.24, 13.02)),
            ("NASR", (6.08, 5.48, 4.86)),
            ("ISED", (80.34, 95.10, 94.10)),
        )
    }
    """The table of ISED's paper; DeepProbLog took too long for n = 4."""

    def recipes(self) -> Mapping[tuple[str, str], SumsRecipe]:
        """What is done, by row and column of the table."""
        small = self._short(SumsRecipe("", most=5000, epochs=10, batch=32, move=False, data_dir=self.data_dir))
        return {(teacher, f"n = {n}"): replace(small, teacher=teacher, addends=n)
                for teacher in ("exact", "IndeCateR", "REINFORCE") for n in (4, 3, 2)}  # fmt: skip


def _folder(row: str, column: str) -> str:
    return f"{row} {column}".replace(", ", "-").replace(" = ", "-").replace(" ", "-")
