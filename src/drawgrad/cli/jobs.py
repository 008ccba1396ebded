"""How many jobs look while they run: one bar for all of them, a line for each that is running."""

from __future__ import annotations

from types import TracebackType
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

if TYPE_CHECKING:
    from drawgrad.studies.engine import Outcome

__all__ = ["JobsDisplay"]


class JobsDisplay:
    """Shows jobs that run side by side; a context manager.

    On a terminal a bar moves, with an estimate of the time left; elsewhere each job that ends is a line.

    Args:
        console: Where to write.
        count: How many jobs there are.
    """

    def __init__(self, console: Console, count: int) -> None:
        self.console = console
        self.count = count
        self.done = 0
        columns = (
            TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TextColumn("{task.fields[detail]}"),
            TimeRemainingColumn(),
        )  # fmt: skip
        self._bar = Progress(*columns, console=console) if console.is_terminal else None
        self._all: Any = None
        self._lines: dict[str, Any] = {}

    def __enter__(self) -> JobsDisplay:
        if self._bar is not None:
            self._bar.start()
            self._all = self._bar.add_task("runs", total=self.count, detail="")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar is not None:
            self._bar.stop()

    def told(self, name: str, message: str) -> None:
        """Show what a job is doing."""
        if self._bar is None:
            return
        if name not in self._lines:
            self._lines[name] = self._bar.add_task(f"  {name}", total=None, detail="")
        self._bar.update(self._lines[name], detail=message)

    def ended(self, outcome: Outcome) -> None:
        """Show that a job ended."""
        self.done += 1
        name = outcome.job.name
        if self._bar is not None:
            if name in self._lines:
                self._bar.remove_task(self._lines.pop(name))
            if outcome.earlier:
                # What an earlier session did tells nothing of the speed of this one.
                self._bar.reset(self._all, completed=self.done, total=self.count)
            else:
                self._bar.advance(self._all)
        elif not outcome.earlier:
            how = "failed" if outcome.failure is not None else f"{outcome.seconds:.0f} s"
            self.console.print(f"{self.done}/{self.count}  {name}  {how}", highlight=False, markup=False)
