"""A study: jobs whose results together make one page, and one record."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

from drawgrad._checks import check_count
from drawgrad.studies.engine import Job, Recipe
from drawgrad.studies.exhibits.page import ExhibitRecipe, Page
from drawgrad.studies.records import Measurement, tabulated

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.figure import Figure

__all__ = ["Found", "Single", "Study", "Sweep"]

Results = Mapping[str, dict[str, Any]]
"""What jobs found, by their names."""
Found = Mapping[str, list[dict[str, Any]]]
"""What was found of each case, one result of each seed that is finished; a case of which none is has no entry."""


class Study(Protocol):
    """What is done, and how it is laid out.

    Attributes:
        name: Of its folder and its record.
    """

    @property
    def name(self) -> str: ...

    def jobs(self) -> Sequence[Job]:
        """What is to be done, in the order in which it is begun; their folders lie below that of the study."""

    def page(self, results: Results) -> Page:
        """The page of what is finished, one job at least."""

    def measurements(self, results: Results) -> Sequence[Measurement]:
        """The same for a record; none if no record is kept."""


@dataclass(frozen=True)
class Single:
    """A study of one job, whose folder is that of the study.

    Args:
        name: Of the folder.
        recipe: What is done and laid out.
        seed: Of the job.
    """

    name: str
    recipe: ExhibitRecipe
    seed: int

    def jobs(self) -> list[Job]:
        """The job."""
        return [Job(self.name, self.recipe, self.seed)]

    def page(self, results: Results) -> Page:
        """That of the recipe."""
        return self.recipe.page(results[self.name])

    def measurements(self, results: Results) -> list[Measurement]:
        """None: what is shown is all in the result."""
        return []


@dataclass(frozen=True)
class Sweep(ABC):
    """A study of several cases, each of them done with several seeds: its table has their means with standard errors.

    All cases are done with one seed before the next one begins, so that what is finished early is a whole table.

    Args:
        seeds: How many, one at least.
    """

    seeds: int
    name: ClassVar[str]
    title: ClassVar[str]

    def __post_init__(self) -> None:
        check_count(self.seeds, "seeds", minimum=1)

    @abstractmethod
    def cases(self) -> Mapping[str, Recipe]:
        """What is done with each seed, by the name of its folder, the longest first."""

    @abstractmethod
    def cells(self, found: Found) -> list[Measurement]:
        """The table of what is finished."""

    @abstractmethod
    def note(self, found: Found) -> str:
        """What the numbers are, and what they say."""

    @abstractmethod
    def draw(self, figure: Figure, found: Found) -> None:
        """Draw the figure of what is finished."""

    @abstractmethod
    def signs(self) -> list[Artist]:
        """What lines and markers of the figure mean."""

    @property
    @abstractmethod
    def size(self) -> tuple[float, float]:
        """Of the figure, in inches."""

    def jobs(self) -> list[Job]:
        """One for each seed and case."""
        cases = self.cases()
        return [
            Job(self._folder(case, seed), recipe, seed) for seed in range(self.seeds) for case, recipe in cases.items()
        ]

    def found(self, results: Results) -> Found:
        """Results in order: by case, then by seed."""
        names = {case: [self._folder(case, seed) for seed in range(self.seeds)] for case in self.cases()}
        finished = {case: [results[name] for name in of if name in results] for case, of in names.items()}
        return {case: of for case, of in finished.items() if of}

    def words(self, found: Found) -> str:
        """How many seeds are finished: "3 seeds", or "1 to 3 seeds" where some cases have more than others."""
        counts = sorted({len(of) for of in found.values()})
        return f"{' to '.join(map(str, dict.fromkeys((counts[0], counts[-1]))))} seed{'s' if counts[-1] > 1 else ''}"

    def page(self, results: Results) -> Page:
        """Table, figure and note."""
        found = self.found(results)
        headings, rows = tabulated(self.cells(found))
        return Page(
            self.title, headings, rows, self.note(found), lambda figure: self.draw(figure, found), self.signs, self.size
        )

    def measurements(self, results: Results) -> list[Measurement]:
        """The cells of the table."""
        return self.cells(self.found(results))

    def _folder(self, case: str, seed: int) -> str:
        return f"{self.name}/{case}-seed-{seed}"
