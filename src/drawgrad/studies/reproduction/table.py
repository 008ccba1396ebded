"""What a published table is: cells, claims, and protocols by which its cells are trained. Data only."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from drawgrad.studies.reproduction.cell import Cell, Claim
from drawgrad.studies.reproduction.picture import Picture

__all__ = ["Protocol", "Table"]


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
        picture: Its figure, in place of the usual one.
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
