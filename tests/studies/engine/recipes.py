"""Recipes that the tests of the engine run, in this process and in workers."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Square:
    """Counts its runs in its folder, and says where it ran."""

    number: float
    where: str = field(default="", compare=False)

    def run(self, seed: int, folder: Path, listener: Callable[[str], None]) -> dict[str, Any]:
        import torch

        runs = folder / "runs"
        runs.write_text(runs.read_text() + "x" if runs.exists() else "x")
        listener("squaring")
        drawn = torch.rand((), generator=torch.Generator().manual_seed(seed)).item()
        print("a stray line", flush=True)
        return {"square": self.number**2, "drawn": drawn, "process": os.getpid(), "threads": torch.get_num_threads()}


@dataclass(frozen=True)
class Stackable(Square):
    """Finds who was done together; some seeds fail, and one ends the process."""

    failing: tuple[int, ...] = ()
    fatal: int | None = None
    alone: bool = False

    def single(self) -> str | None:
        return "is alone" if self.alone else None

    def run_together(
        self, seeds: Sequence[int], folders: Sequence[Path], listeners: Sequence[Callable[[str], None]]
    ) -> Iterator[tuple[int, float, dict[str, Any] | Exception]]:
        for place, (seed, folder, listener) in enumerate(zip(seeds, folders, listeners, strict=True)):
            listener("squaring")
            (folder / "together").touch()
            if seed == self.fatal:
                raise MemoryError("no more")
            error = ArithmeticError(f"{seed} is bad")
            yield place, 0.5, error if seed in self.failing else {"seeds": list(seeds)}


@dataclass(frozen=True)
class Failing:
    """Fails, in a way of many."""

    way: str

    def run(self, seed: int, folder: Path, listener: Callable[[str], None]) -> dict[str, Any]:
        match self.way:
            case "raises":
                raise ArithmeticError("the loss is nan")
            case "killed":
                os.kill(os.getpid(), signal.SIGKILL)
            case "exits":
                sys.exit(3)
            case "infinite":
                return {"loss": float("inf")}
        return {}


@dataclass(frozen=True)
class Endless:
    """Tells its process, and goes on until it is ended."""

    def run(self, seed: int, folder: Path, listener: Callable[[str], None]) -> dict[str, Any]:
        (folder / "process").write_text(str(os.getpid()))
        listener("begun")
        while True:
            time.sleep(0.01)


@dataclass(frozen=True)
class Held:
    """Tells its process, and goes on until a file beside its folder says that it may end."""

    def run(self, seed: int, folder: Path, listener: Callable[[str], None]) -> dict[str, Any]:
        with (folder / "begun").open("a") as file:
            file.write(f"{os.getpid()}\n")
        while not (folder.parent / "release").exists():
            time.sleep(0.05)
        return {"seed": seed}


def alive(process: int) -> bool:
    """Whether a process runs; one that has ended and is not waited for does not."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False
