"""Exhibits: gradient estimators on small problems whose answers are known, and structures at work."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from drawgrad.studies.exhibits.page import ExhibitRecipe
    from drawgrad.studies.exhibits.study import Sweep

__all__ = ["EXHIBITS", "STRUCTURES", "Exhibit", "Structure"]


class Exhibit(NamedTuple):
    """One of them.

    Args:
        name: What it is called on the command line.
        text: What it shows, in one line.
        recipe: Makes what measures it and lays it out, from the number of independent runs, where it has any.
    """

    name: str
    text: str
    recipe: Callable[[int], ExhibitRecipe]


class Structure(NamedTuple):
    """One that shows a structure at work.

    Args:
        name: What it is called on the command line.
        text: What it shows, in one line.
        study: Makes the study from the number of seeds, the steps of each training, or None for its own number, and the
            folder of the data, where it needs any.
    """

    name: str
    text: str
    study: Callable[[int, int | None, Path | None], Sweep]


# Their modules load torch, and who lists the exhibits need not wait for it.


def _polynomial(runs: int) -> ExhibitRecipe:
    from drawgrad.studies.exhibits.polynomial import Polynomial

    return Polynomial(runs=runs)


def _coin(runs: int) -> ExhibitRecipe:
    from drawgrad.studies.exhibits.coin import Coin

    return Coin(runs=runs)


def _dial(runs: int) -> ExhibitRecipe:
    from drawgrad.studies.exhibits.dial import Dial

    return Dial()


def _subsets(runs: int) -> ExhibitRecipe:
    from drawgrad.studies.exhibits.k_subset import Subsets

    return Subsets()


def _linear(runs: int) -> ExhibitRecipe:
    from drawgrad.studies.exhibits.linear_reward import LinearReward

    return LinearReward()


EXHIBITS = {
    exhibit.name: exhibit
    for exhibit in (
        Exhibit("polynomial", "128 binary variables with cost |b - t|^p, p = 1.5, 2, 3", _polynomial),
        Exhibit("coin", "one coin with cost (b - t)^2, t = 0.45, 0.49, 0.499", _coin),
        Exhibit("dial", "bias against variance over the temperature", _dial),
        Exhibit("subsets", "3 of 10 vectors: estimators of subsets against the exact gradient", _subsets),
        Exhibit("linear", "eight classes, linear reward: variance against evaluations", _linear),
    )
}
"""By name, the one that takes longest first."""


def _sorting(seeds: int, steps: int | None, data_dir: Path | None) -> Sweep:
    from drawgrad.studies.exhibits.sorting import STEPS, Sorting

    return Sorting(seeds, steps=steps or STEPS)


def _characters(seeds: int, steps: int | None, data_dir: Path | None) -> Sweep:
    from drawgrad.studies.exhibits.characters import STEPS, Characters, CharactersRecipe

    return Characters(seeds, CharactersRecipe(steps=steps or STEPS, data_dir=data_dir))


def _sensors(seeds: int, steps: int | None, data_dir: Path | None) -> Sweep:
    from drawgrad.studies.exhibits.sensors import STEPS, Sensors

    return Sensors(seeds, steps=steps or STEPS)


def _sudoku(seeds: int, steps: int | None, data_dir: Path | None) -> Sweep:
    from drawgrad.studies.exhibits.sudoku import Sudoku, recipe_of

    return Sudoku(seeds, recipe_of(steps, data_dir))


def _sudoku_teachers(seeds: int, steps: int | None, data_dir: Path | None) -> Sweep:
    from drawgrad.studies.exhibits.sudoku import SudokuTeachers, recipe_of

    return SudokuTeachers(seeds, recipe_of(steps, data_dir))


def _sums(seeds: int, steps: int | None, data_dir: Path | None) -> Sweep:
    from drawgrad.studies.exhibits.sums import Sums

    return Sums(seeds, steps, data_dir)


def _small_sums(seeds: int, steps: int | None, data_dir: Path | None) -> Sweep:
    from drawgrad.studies.exhibits.sums import SmallSums

    return SmallSums(seeds, steps, data_dir)


STRUCTURES = {
    structure.name: structure
    for structure in (
        Structure("sorting", "permutations: a network learns to sort up to 120 numbers", _sorting),
        Structure("characters", "beams: the entropy of a text model from sequences without replacement", _characters),
        Structure("sensors", "subsets: the pixels from which an image is rebuilt best", _sensors),
        Structure("sudoku", "constraints: handwritten Sudoku, learned from the values of blank cells", _sudoku),
        Structure("sudoku-teachers", "the same by soft propagation, and with the solver in the loop", _sudoku_teachers),
        Structure("sums", "constraints: digits learned from sums of two numbers", _sums),
        Structure("small-sums", "the same from 5000 sums of digits, exactly and by samples", _small_sums),
    )
}
"""By name."""
