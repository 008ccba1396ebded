"""Tables of text, and numbers with as many digits as are known."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

__all__ = ["duration", "markdown_table", "significant", "text_table", "with_error"]


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


def with_error(value: float, error: float) -> str:
    """A number and its standard error, with two digits of the error.

    Example:
        >>> with_error(0.123456, 0.00123), with_error(1234.5, 56.7), with_error(0.5, 0.0)
        ('0.1235 ± 0.0012', '1234 ± 57', '0.500')
    """
    if error <= 1e-9 * abs(value) or not (math.isfinite(error) and math.isfinite(value)):
        return significant(value)
    if error < 1e-5 * abs(value):
        return f"{value:.6g} ± {error:.1e}"
    place = 1 - math.floor(math.log10(error))
    largest = max(abs(value), error)
    if place > 6 or largest >= 1e6:
        power = math.floor(math.log10(largest))
        digits = max(place + power, 0)
        return f"({value / 10**power:.{digits}f} ± {error / 10**power:.{digits}f})e{power}"
    return f"{value:.{max(place, 0)}f} ± {error:.{max(place, 0)}f}"


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


def text_table(headings: Sequence[str], rows: Iterable[Iterable[str]]) -> str:
    """Columns of equal width; the first is aligned to the left, the others to the right."""
    cells = [list(headings), *map(list, rows)]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    lines = [
        "  ".join(cell.rjust(width) if column else cell.ljust(width) for column, (cell, width) in enumerate(pairs))
        for pairs in (zip(row, widths, strict=True) for row in cells)
    ]
    lines.insert(1, "  ".join("-" * width for width in widths))
    return "\n".join(line.rstrip() for line in lines)


def markdown_table(headings: Sequence[str], rows: Iterable[Iterable[str]]) -> str:
    """A table in Markdown; the first column is aligned to the left, the others to the right."""
    cells = [list(headings), ["---", *["---:"] * (len(headings) - 1)], *map(list, rows)]
    return "\n".join(f"| {' | '.join(row)} |" for row in cells)
