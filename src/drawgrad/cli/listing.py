"""What can be named on the command line, with what each shows, in two columns."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol

__all__ = ["listing"]


class Named(Protocol):
    """Has a name and a line on what it shows."""

    @property
    def name(self) -> str: ...

    @property
    def text(self) -> str: ...


def listing(things: Iterable[Named], indent: str = "") -> str:
    """A line for each, the texts below each other.

    Args:
        things: In their order.
        indent: Before each name.
    """
    things = tuple(things)
    width = max(len(thing.name) for thing in things) + 2
    return "\n".join(f"{indent}{thing.name:{width}}{thing.text}" for thing in things)
