"""The result of a comparison: numbers, which render as text, markdown, JSON and a figure."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any, Literal

from drawgrad._tables import duration, markdown_table, significant, text_table
from drawgrad.diagnostics._plot import plot_rows
from drawgrad.diagnostics._statistics import Estimate

__all__ = ["Estimate", "Quality", "Report", "Verdict"]

Verdict = Literal["biased", "none seen", "too few draws", "not finite", "other objective"]


@dataclass(frozen=True)
class Quality:
    """How good the gradients of one estimator are.

    Attributes:
        name: what it is called.
        claims_unbiased: what it says of itself.
        verdict: whether a bias was seen, was not seen although it would have been, or could not have been seen; "other
            objective" if the gradient is that of a multi-sample bound: then bias, error and cosine are NaN.
        bias: distance of the mean gradient from the exact one.
        bias_squared: its square, estimated without bias, so it may be negative.
        bias_limit: 2.33 standard errors above the estimate, both of the squared bias. The error is an estimate too, and
            small where the difference is small by chance, so more than one in a hundred biases exceed this.
        variance: trace of the covariance of one gradient.
        mean_squared_error: mean squared distance of one gradient from the exact one.
        cosine: mean cosine of a gradient with the exact one; one that is zero counts as 0.
        signal_to_noise: norm of the mean gradient over the square root of the variance; NaN of one that is always
            zero, or not finite.
        evaluations: samples z that one gradient takes.
        seconds: time that one gradient takes.
        draws: gradients that were drawn.
    """

    name: str
    claims_unbiased: bool
    verdict: Verdict
    bias: Estimate
    bias_squared: Estimate
    bias_limit: float
    variance: Estimate
    mean_squared_error: Estimate
    cosine: Estimate
    signal_to_noise: float
    evaluations: int
    seconds: float
    draws: int


@dataclass(frozen=True)
class Report:
    """What :func:`~drawgrad.diagnostics.compare` found.

    Attributes:
        rows: one for each estimator, in the order of the list.
        reference: what the gradients were held against, in words.
        reference_norm: its length, and how far it is off (root mean square); the latter is zero if it is exact.
        parameters: how many numbers a gradient has.
        draws: gradients that were asked for.
        resolution: bias that had to be noticed, relative to the length of the reference.
    """

    rows: tuple[Quality, ...]
    reference: str
    reference_norm: Estimate
    parameters: int
    draws: int
    resolution: float

    def __getitem__(self, name: str) -> Quality:
        """The row of that name."""
        for row in self.rows:
            if row.name == name:
                return row
        raise KeyError(f"{name!r}; the rows are {', '.join(row.name for row in self.rows)}")

    def __str__(self) -> str:
        return self.text()

    def text(self) -> str:
        """A table for the terminal; the standard errors that it leaves out are in the rows."""
        return f"{text_table(_HEADINGS, map(_cells, self.rows))}\n{self.note()}"

    def markdown(self) -> str:
        """The table in Markdown."""
        return f"{markdown_table(_HEADINGS, map(_cells, self.rows))}\n\n{self.note()}"

    def json(self) -> str:
        """Everything, as JSON; numbers that are not finite are null."""
        return json.dumps(_finite(asdict(self)), indent=2, allow_nan=False)

    def plot(self, axes: Any) -> None:
        """Draw squared bias and variance of every estimator.

        Args:
            axes: axes of a matplotlib figure that you made, about a third of an inch high for each estimator.
        """
        plot_rows(axes, self.rows)

    def note(self) -> str:
        """What the table refers to, in words."""
        about = "" if self.reference_norm.error == 0 else f", off by about {significant(self.reference_norm.error)}"
        others = [row.name for row in self.rows if row.verdict == "other objective"]
        bound = f"\nOther objective: {', '.join(others)} has the gradient of a multi-sample bound." if others else ""
        return (
            f"{self.draws} gradients of each, for {self.parameters} parameters. MSE = mean squared error = "
            "bias² + variance of one;\nS/N = signal to noise; evals = samples z that the cost is given for one.\n"
            f"Reference: {self.reference}, of length {significant(self.reference_norm.value)}{about}.\n"
            f"Bias: none = none seen; in brackets a limit, 2.33 standard errors above, at most "
            f"{self.resolution:.0%} of that length;\n? = it may be larger, draw more.{bound}"
        )


_HEADINGS = (
    "estimator",
    "bias",
    "variance",
    "MSE",
    "cosine",
    "S/N",
    "evals",
    "time",
)


def _cells(row: Quality) -> Iterable[str]:
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


def _bias(row: Quality) -> str:
    match row.verdict:
        case "biased":
            return str(row.bias)
        case "none seen":
            return f"none (< {significant(row.bias_limit, 2)})"
        case "too few draws":
            return f"? (< {significant(row.bias_limit, 2)})"
        case other:
            return other


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
