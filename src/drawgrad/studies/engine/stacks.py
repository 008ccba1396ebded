"""Stacks: jobs of one recipe and several seeds that are done as one program."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, cast

from drawgrad.studies.engine.jobs import Found, Job, Listener, Recipe, Work, key_of

__all__ = ["Stack", "StackableRecipe", "stacked"]


class StackableRecipe(Recipe, Protocol):
    """A recipe of which several seeds may be done as one program."""

    def single(self) -> str | None:
        """Why it is done one seed at a time, written to follow its name; None if several can be done as one program."""

    def run_together(
        self, seeds: Sequence[int], folders: Sequence[Path], listeners: Sequence[Callable[[str], None]]
    ) -> Iterator[tuple[int, float, dict[str, Any] | Exception]]:
        """Do it with several seeds, on one thread of the CPU; what a seed finds does not depend on the others.

        Args:
            seeds: Of all randomness, each of one job.
            folders: Of the jobs.
            listeners: Of the jobs.

        Yields:
            The place of a seed, its share of the seconds, and what was found, or why nothing was.
        """


@dataclass(frozen=True)
class Stack:
    """Jobs of one recipe, done as one program.

    Args:
        jobs: One at least: one alone is done as it would be with others.
    """

    jobs: tuple[Job, ...]

    @property
    def name(self) -> str:
        """Of the first job."""
        return self.jobs[0].name

    def find(self, root: Path, listener: Listener) -> Iterator[Found]:
        """Do the jobs; see :class:`~drawgrad.studies.engine.Work`."""
        recipe = cast(StackableRecipe, self.jobs[0].recipe)
        listeners = [functools.partial(listener, job.name) for job in self.jobs]
        folders = [root / job.name for job in self.jobs]
        for place, seconds, found in recipe.run_together([job.seed for job in self.jobs], folders, listeners):
            yield self.jobs[place], seconds, found


def stacked(jobs: Sequence[Job], size: int) -> list[Work]:
    """Jobs as stacks of those that differ in the seed alone, in the order of their first ones; others as they are.

    Args:
        jobs: Of stackable recipes.
        size: Jobs of a stack at most.
    """
    alike: dict[str, list[Job]] = {}
    found: list[Work] = []
    for job in jobs:
        if cast(StackableRecipe, job.recipe).single() is not None:
            found.append(job)
            continue
        alike.setdefault(key_of(job.settings() | {"seed": None}), []).append(job)
    stacks = [Stack(tuple(of[at : at + size])) for of in alike.values() for at in range(0, len(of), size)]
    order = {job: place for place, job in enumerate(jobs)}
    return sorted([*found, *stacks], key=lambda work: order[work.jobs[0]])
