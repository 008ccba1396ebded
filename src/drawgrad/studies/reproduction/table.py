"""What a published table is: cells with printed figures and recipes, and claims that one beats another. Data only."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from drawgrad.studies.reproduction.recipes import CellRecipe

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.figure import Figure

    from drawgrad.studies.reproduction.findings import Findings

__all__ = ["Cell", "Claim", "Picture", "Protocol", "Table"]


@dataclass(frozen=True, eq=False)
class Cell:
    """A cell of a table.

    Args:
        row: What is modelled.
        column: The method.
        recipe: How it is trained and measured, but for what a protocol settles.
        printed: The figure in the paper; None for a method that it does not have.
        deviations: In what the recipe differs from the printed set-up, in words.
        quantity: Which of the numbers that the recipe finds. Cells with one recipe share its runs.
    """

    row: str
    column: str
    recipe: CellRecipe
    printed: float | None = None
    deviations: tuple[str, ...] = ()
    quantity: str = "value"

    @property
    def name(self) -> str:
        """What it is called on the command line and in folders, `sbn-bernoulli/gumbel-softmax`."""
        return f"{slug(self.row)}/{slug(self.column)}"


@dataclass(frozen=True)
class Claim:
    """That in a row of the table one method beats another."""

    row: str
    better: str
    worse: str

    def __str__(self) -> str:
        return f"{self.row}: {self.better} beats {self.worse}"


@dataclass(frozen=True)
class Protocol:
    """How every cell is trained.

    Args:
        text: In words, as it stands beside the table.
        settings: Of every recipe.
        lrs: Learning rates among which the validation set decides, one seed each.
        trial: Settings of these trials, in place of those of the runs.
    """

    text: str
    settings: Mapping[str, Any]
    lrs: tuple[float, ...]
    trial: Mapping[str, Any]


@dataclass(frozen=True)
class Picture:
    """A figure of a table in place of the usual one.

    Args:
        draw: Draws it.
        signs: What its lines and markers mean.
        size: In inches.
    """

    draw: Callable[[Figure, Findings], None]
    signs: Callable[[], Sequence[Artist]]
    size: tuple[float, float]


@dataclass(frozen=True)
class Table:
    """A published table.

    Args:
        name: What it is called on the command line.
        title: One line.
        paper: Where it was printed.
        unit: Of its figures; empty where rows name theirs.
        cells: In the order of the paper.
        claims: What the paper says of them.
        protocols: By name; the first one is the default.
        notes: What a reader has to know of all cells, a paragraph each.
        higher: Whether higher figures are the better ones.
        picture: In place of the usual one.
        places: Decimals at most, of figures with an error.
    """

    name: str
    title: str
    paper: str
    unit: str
    cells: tuple[Cell, ...]
    claims: tuple[Claim, ...]
    protocols: Mapping[str, Protocol]
    notes: tuple[str, ...] = ()
    higher: bool = False
    picture: Picture | None = None
    places: int = 2

    @property
    def sign(self) -> int:
        """What makes of a figure one that is better the lower it is."""
        return -1 if self.higher else 1

    def with_unit(self, words: str) -> str:
        """A title with the unit of the figures."""
        return f"{words} ({self.unit})" if self.unit else words

    def text(self) -> list[str]:
        """The notes, each in one line."""
        return [" ".join(note.split()) for note in self.notes]

    @property
    def rows(self) -> list[str]:
        """Its rows, in order."""
        return list(dict.fromkeys(cell.row for cell in self.cells))

    @property
    def columns(self) -> list[str]:
        """Its columns, in order."""
        return list(dict.fromkeys(cell.column for cell in self.cells))


def slug(words: str) -> str:
    """Words as part of a name.

    Example:
        >>> slug("VAE (categorical), m = 5")
        'vae-categorical-m-5'
    """
    return "-".join("".join(c if c.isalnum() else " " for c in words.lower()).split())
