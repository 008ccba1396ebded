"""The cells of the tables: of a comparison, and of a ranking."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from drawgrad._tables import duration, significant
from drawgrad.diagnostics.comparison.quality import Quality, Ranked

__all__ = ["BUDGET", "COMPARISON", "RANKING", "comparison_cells", "ranking_cells"]

COMPARISON = ("estimator", "bias", "variance", "MSE", "cosine", "S/N", "evals", "time")
RANKING = ("estimator", "mean squared error", "of it bias", "gradients averaged", "left over")
BUDGET = {"evaluations": lambda value: f"{value:g}", "seconds": duration}
"""How a budget is written, by its unit."""


def comparison_cells(row: Quality) -> Iterator[str]:
    """A line of the table of a comparison."""
    yield row.name
    yield _bias(row)
    yield str(row.variance)
    if row.verdict == "other objective":
        yield from ("-", "-")
    else:
        yield from (significant(row.mean_squared_error.value), significant(row.cosine.value))
    yield significant(row.signal_to_noise)
    yield str(row.evaluations)
    yield duration(row.seconds)


def ranking_cells(places: Sequence[Ranked], unit: str) -> Iterator[tuple[str, ...]]:
    """The lines of the table of a ranking."""
    for place in places:
        yield (
            place.quality.name,
            str(place.mean_squared_error),
            f"{place.bias_share:.0%}",
            str(place.gradients),
            BUDGET[unit](place.left),
        )


def _bias(row: Quality) -> str:
    match row.verdict:
        case "biased":
            return str(row.bias)
        case "none seen":
            return f"none (< {significant(row.bias_limit, 2)})"
        case "too few draws":
            return f"? (< {significant(row.bias_limit, 2)})"
        case "too coarse":
            return f"too coarse (< {significant(row.bias_limit, 2)})"
        case other:
            return other
