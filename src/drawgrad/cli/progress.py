"""How a run looks while it runs: a moving bar on a terminal, a plain line now and then elsewhere."""

from __future__ import annotations

from collections import deque
from types import TracebackType
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Column

from drawgrad.studies.runs import loop

__all__ = ["Display"]

LINES = 10
"""Plain lines of a run that does not write to a terminal."""
WINDOW = 3.0
"""Seconds over which the speed is measured."""
EVERYTHING = 1000
"""Room for all there is to say."""
BAR = 8
"""Least width of a bar; what does not fit into the line beside it is left out."""


class Display:
    """Shows training steps and then tested images; a context manager.

    Args:
        console: Where to write.
    """

    def __init__(self, console: Console) -> None:
        self.console = console
        self._bar: Progress | None = None
        self._task: Any = None
        self._moments: deque[tuple[int, float]] = deque()
        self._begun = False
        self._shown = 0

    def __enter__(self) -> Display:
        if self.console.is_terminal:
            columns = (
                TextColumn("{task.description}"),
                BarColumn(bar_width=None, table_column=Column(ratio=1, min_width=BAR)),
                MofNCompleteColumn(table_column=Column(no_wrap=True)),
                TextColumn("{task.fields[detail]}", table_column=Column(no_wrap=True)),
                TimeRemainingColumn(),
            )
            self._bar = Progress(*columns, console=self.console, refresh_per_second=8, expand=True)
            self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar is not None:
            self._bar.stop()

    def step(self, progress: loop.Progress) -> None:
        """Show a step of the training."""
        if not self._begun:
            self._begun = True
            # What an earlier session did is not news.
            self._shown = progress.step * LINES // progress.steps
        else:
            # Not counting the first step of a session, in which kernels may be compiled.
            self._moments.append((progress.step, progress.seconds))
            while self._moments[-1][1] - self._moments[0][1] > WINDOW and len(self._moments) > 2:
                self._moments.popleft()
        self._show("training", progress.step, progress.steps, lambda room: _fitting(self._details(progress), room))

    def images(self, done: int, total: int) -> None:
        """Show how many test images are done."""
        self._show("testing", done, total, lambda room: "images")

    def _show(self, what: str, done: int, total: int, detail: Any) -> None:
        if self._bar is not None:
            if self._task is None or self._bar.tasks[self._task].description != what:
                self._task = self._bar.add_task(what, total=total, detail="")
            # Beside the words: bar, count, remaining time, and a space between each two.
            room = self.console.width - len(what) - BAR - 2 * len(str(total)) - 1 - len("0:00:00") - 4
            self._bar.update(self._task, completed=done, detail=detail(room))
            return
        tenth = done * LINES // total
        if tenth != self._shown:
            self.console.print(f"{what} {done}/{total}  {detail(EVERYTHING)}", highlight=False, soft_wrap=True)
        self._shown = tenth

    def _details(self, progress: loop.Progress) -> dict[str, str]:
        """What to say of a step."""
        names = {"ELBO": "train/elbo", "valid": "valid/elbo", "tau": "train/tau"}
        words = {word: f"{word} {progress.latest[name]:.2f}" for word, name in names.items() if name in progress.latest}
        (first, begin), (last, end) = (self._moments[0], self._moments[-1]) if self._moments else ((0, 0.0), (0, 0.0))
        return words | ({"speed": f"{(last - first) / (end - begin):4.0f} steps/s"} if end > begin else {})


def _fitting(words: dict[str, str], room: int) -> str:
    """As much as there is room for."""
    for spared in ("tau", "speed", "valid", "ELBO"):
        if len("  ".join(words.values())) > room:
            words.pop(spared, None)
    return "  ".join(words.values())
