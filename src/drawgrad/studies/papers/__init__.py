"""Published tables, one file a paper: printed figures and recipes."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from drawgrad.studies.reproduction import Table

__all__ = ["TABLES", "Published"]


class Published(NamedTuple):
    """A table that can be reproduced.

    Args:
        name: What it is called on the command line.
        text: What it shows, in one line.
        load: Makes it.
    """

    name: str
    text: str
    load: Callable[[], Table]


# Their modules load torch, and who lists the tables need not wait for it.


def _jang2017_table1() -> Table:
    from drawgrad.studies.papers.jang2017 import TABLE1

    return TABLE1


TABLES = {
    table.name: table
    for table in (
        Published(
            "jang2017-table1",
            "structured prediction and autoencoders by seven gradients, and by seven later ones",
            _jang2017_table1,
        ),
    )
}
"""By name."""
