"""Tables as text, and numbers with as many digits as are known: the only place that formats them."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Iterable, Sequence

__all__ = ["duration", "markdown_table", "significant", "text_table", "with_spread"]


def significant(value: float, digits: int = 3) -> str:
    """A number with so many significant digits, without an exponent unless it is very small or large.

    Example:
        >>> significant(0.012345), significant(12345.6), significant(3e-7)
        ('0.0123', '12300', '3.00e-07')
    """
    if value == 0 or not math.isfinite(value):
        return f"{value:.0f}"
    place = digits - 1 - math.floor(math.log10(abs(value)))
    # Rounding may carry into a new leading digit, 0.9999 to 1.000.
    value = round(value, place)
    place = digits - 1 - math.floor(math.log10(abs(value)))
    if not -3 <= place <= digits + 3:
        return f"{value:.{digits - 1}e}"
    return f"{round(value, place):.{max(place, 0)}f}"


def with_spread(value: float, spread: float, places: int | None = None) -> str:
    """A number and its spread, with the digits that the spread leaves certain.

    The spread has one digit, or two if it begins with a one. A spread of zero, or one that rounding alone explains, is
    left out.

    Args:
        value: The number.
        spread: Its standard error, or what else its uncertainty is called where it is shown.
        places: Decimals at most; a spread that is zero then is left out. As many as are certain if None.

    Example:
        >>> with_spread(0.1234, 0.0056), with_spread(1234.5, 12.3), with_spread(0.5, 0.0)
        ('0.123 ± 0.006', '1234 ± 12', '0.500')
        >>> with_spread(1.2346e-9, 2e-11), with_spread(0.99996, 0.000013, places=3)
        ('(1.23 ± 0.02)e-9', '1.000')
    """
    if not (math.isfinite(value) and math.isfinite(spread)) or spread <= 1e-9 * abs(value):
        return significant(value) if places is None else f"{value:.{places}f}"
    place = -math.floor(math.log10(spread))
    place += spread < 2 * 10.0**-place
    largest = max(abs(value), spread)
    if places is not None:
        place = min(place, places)
    elif largest >= 1e6 or (place > 8 and largest < 1e-3):
        power = math.floor(math.log10(largest))
        return f"({_rounded(value, spread, place, power)})e{power}"
    return _rounded(value, spread, place)


def _rounded(value: float, spread: float, place: int, power: int = 0) -> str:
    """Both to so many decimals, in units of a power of ten."""
    decimals = max(place + power, 0)
    number, error = (f"{round(x, place) / 10.0**power:.{decimals}f}" for x in (value, spread))
    return number if float(error) == 0 else f"{number} ± {error}"


def duration(seconds: float) -> str:
    """A time in seconds, milliseconds or microseconds.

    Example:
        >>> duration(0.00123)
        '1.23 ms'
    """
    for factor, unit in ((1.0, "s"), (1e-3, "ms")):
        if seconds >= factor:
            return f"{significant(seconds / factor)} {unit}"
    return f"{significant(seconds / 1e-6)} µs"


def text_table(headings: Sequence[str], rows: Iterable[Iterable[str]], align: str = "<>") -> str:
    """Columns of equal width. A heading that is wider than its column takes several lines; a cell never does.

    Args:
        headings: Of the columns.
        rows: Of cells.
        align: ``<`` or ``>`` for each column, to the left or to the right; the last one stands for those that follow.

    Example:
        >>> print(text_table(("name", "time of one"), [("a", "12 ms"), ("b", "3 ms")]))
               time
                 of
        name    one
        ----  -----
        a     12 ms
        b      3 ms
    """
    cells = [list(row) for row in rows]
    columns = list(zip(*cells, strict=True)) if cells else [()] * len(headings)
    heads, widths = [], []
    for heading, column in zip(headings, columns, strict=True):
        width = max(map(len, [*column, *heading.split()]), default=0)
        heads.append(textwrap.wrap(heading, max(width, 1), break_on_hyphens=False))
        widths.append(width)
    height = max(map(len, heads))
    lines = [list(line) for line in zip(*([""] * (height - len(head)) + head for head in heads), strict=True)]
    sides = align + align[-1] * (len(headings) - len(align))
    return "\n".join(
        "  ".join(f"{cell:{side}{width}}" for cell, side, width in zip(row, sides, widths, strict=True)).rstrip()
        for row in [*lines, ["-" * width for width in widths], *cells]
    )


def markdown_table(headings: Sequence[str], rows: Iterable[Iterable[str]], align: str = "<>") -> str:
    """A table in Markdown; ``align`` is that of :func:`text_table`."""
    sides = align + align[-1] * (len(headings) - len(align))
    rule = ["---" if side == "<" else "---:" for side in sides]
    return "\n".join(f"| {' | '.join(row)} |" for row in [headings, rule, *rows])
