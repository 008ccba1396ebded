"""How a run looks while it runs: a moving bar on a terminal, a plain line now and then elsewhere."""

from __future__ import annotations

from types import TracebackType
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from drawgrad.studies.runs import loop

__all__ = ["Display"]

LINES = 10
"""Plain lines of a run that does not write to a terminal."""


class Display:
    """Shows training steps and then tested images; a context manager.

    Args:
        console: Where to write.
    """

    def __init__(self, console: Console) -> None:
        self.console = console
        self._bar: Progress | None = None
        self._task: Any = None
        self._first_step: int | None = None
        self._first_seconds = 0.0
        self._shown = 0

    def __enter__(self) -> Display:
        if self.console.is_terminal:
            columns = (
                TextColumn("{task.description}"),
                BarColumn(bar_width=None),
                MofNCompleteColumn(),
                TextColumn("{task.fields[detail]}"),
                TimeRemainingColumn(),
            )
            self._bar = Progress(*columns, console=self.console, refresh_per_second=8)
            self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar is not None:
            self._bar.stop()

    def step(self, progress: loop.Progress) -> None:
        """Show a step of the training."""
        if self._first_step is None:
            self._first_step, self._first_seconds = progress.step, progress.seconds
            # What an earlier session did is not news.
            self._shown = progress.step * LINES // progress.steps
        self._show("training", progress.step, progress.steps, lambda: self._detail(progress))

    def images(self, done: int, total: int) -> None:
        """Show how many test images are done."""
        self._show("testing", done, total, lambda: "images")

    def _show(self, what: str, done: int, total: int, detail: Any) -> None:
        if self._bar is not None:
            if self._task is None or self._bar.tasks[self._task].description != what:
                self._task = self._bar.add_task(what, total=total, detail="")
            self._bar.update(self._task, completed=done, detail=detail())
            return
        tenth = done * LINES // total
        if tenth != self._shown:
            self.console.print(f"{what} {done}/{total}  {detail()}", highlight=False)
        self._shown = tenth

    def _detail(self, progress: loop.Progress) -> str:
        latest = progress.latest
        seconds = progress.seconds - self._first_seconds
        assert self._first_step is not None
        speed = (progress.step - self._first_step) / seconds if seconds > 0 else 0.0
        parts = [f"{speed:4.0f} steps/s"]
        if "train/elbo" in latest:
            parts.insert(0, f"ELBO {latest['train/elbo']:.2f}")
        if "valid/elbo" in latest:
            parts.insert(-1, f"valid {latest['valid/elbo']:.2f}")
        if "train/tau" in latest:
            parts.insert(-1, f"tau {latest['train/tau']:.2f}")
        return "  ".join(parts)
