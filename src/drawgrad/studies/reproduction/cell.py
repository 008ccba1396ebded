"""A cell of a published table, with its printed figure and its recipe, and a claim that one cell beats another."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from drawgrad.studies.reproduction.recipes import CellRecipe

__all__ = ["Cell", "Claim", "slug"]


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
        training: Settings in place of those of any protocol, for a cell with a training of its own; its learning rate
            is not chosen if it is among them.
    """

    row: str
    column: str
    recipe: CellRecipe
    printed: float | None = None
    deviations: tuple[str, ...] = ()
    quantity: str = "value"
    training: Mapping[str, Any] = field(default_factory=dict)

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


def slug(words: str) -> str:
    """Words as part of a name.

    Example:
        >>> slug("VAE (categorical), m = 5")
        'vae-categorical-m-5'
    """
    return "-".join("".join(c if c.isalnum() else " " for c in words.lower()).split())
