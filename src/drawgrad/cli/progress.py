"""How a run looks while it runs: a moving bar on a terminal, a plain line now and then elsewhere."""

from __future__ import annotations

import itertools
import statistics
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Column

from drawgrad.studies.runs import loop

__all__ = ["Display", "compilation_told"]

LINES = 10
"""Plain lines of a run that does not write to a terminal."""
WINDOW = 25
"""Steps of which the median tells the speed: neither a compilation nor a validation among them is the speed."""
EVERYTHING = 1000
"""Room for all there is to say."""
BAR = 8
"""Least width of a bar; what does not fit into the line beside it is left out."""


@contextmanager
def compilation_told(console: Console) -> Iterator[None]:
    """Say once if kernels are compiled meanwhile, which takes seconds in which nothing moves."""
    from numba.core import event

    class Listener(event.Listener):
        told = False

        def on_start(self, event: Any) -> None:
            if not self.told:
                self.told = True
                console.print("compiling kernels for this machine, which takes some seconds the first time")

        def on_end(self, event: Any) -> None:
            pass

    listener = Listener()
    event.register("numba:compile", listener)
    try:
        yield
    finally:
        event.unregister("numba:compile", listener)


class Display:
    """Shows training steps and then tested images; a context manager.

    Args:
        console: Where to write.
    """

    def __init__(self, console: Console) -> None:
        self.console = console
        self._bar: Progress | None = None
        self._task: Any = None
        self._moments: deque[float] = deque(maxlen=WINDOW + 1)
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
        if not self._moments:
            # What an earlier session did is not news.
            self._shown = progress.step * LINES // progress.steps
        self._moments.append(progress.seconds)
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
        if len(self._moments) > 2:
            step = statistics.median(end - begin for begin, end in itertools.pairwise(self._moments))
            words["speed"] = f"{1 / max(step, 1e-6):4.0f} steps/s"
        return words


def _fitting(words: dict[str, str], room: int) -> str:
    """As much as there is room for."""
    for spared in ("tau", "speed", "valid", "ELBO"):
        if len("  ".join(words.values())) > room:
            words.pop(spared, None)
    return "  ".join(words.values())
