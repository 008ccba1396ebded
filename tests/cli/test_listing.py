"""The columns of what can be named on the command line."""

from typing import NamedTuple

from drawgrad.cli.listing import listing


class Thing(NamedTuple):
    name: str
    text: str


def test_texts_stand_below_each_other_however_long_a_name_is():
    lines = listing([Thing("a", "one"), Thing("sudoku-teachers", "two")], "  ").splitlines()
    assert lines == ["  a                one", "  sudoku-teachers  two"]
