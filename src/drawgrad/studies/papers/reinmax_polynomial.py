"""Liu, Dong, Liu, Yu, Gao. Bridging discrete and backpropagation. NeurIPS 2023: polynomial programming.

The paper shows curves and prints no figures.
"""

from __future__ import annotations

from drawgrad.studies.exhibits.polynomial import ESTIMATORS, POWERS
from drawgrad.studies.reproduction import Cell, Claim, Protocol, Table, TrainPolynomial

__all__ = ["REINMAX_POLYNOMIAL"]

ROWS = {power: f"p = {power:g}" for power in POWERS}
RUNS = {"runs": 10, "batch": 64}
START, OPTIMUM = (0.3549, 0.2525, 0.1288), (0.3019, 0.2025, 0.0911)
"""Of the expected cost, exactly, for each power."""

REINMAX_POLYNOMIAL = Table(
    "reinmax-polynomial",
    "Expected cost, the mean of |b - 0.45|^p over 128 binary variables",
    "Liu et al. Bridging discrete and backpropagation. NeurIPS 2023, polynomial programming",
    "",
    tuple(
        Cell(row, column, TrainPolynomial(RUNS | {"gradient": column, "power": power}))
        for power, row in ROWS.items()
        for column in ESTIMATORS
    ),
    tuple(
        Claim(row, "ReinMax", worse) for row in ROWS.values() for worse in ("straight-through", "ST Gumbel-Softmax")
    ),
    {
        "quick": Protocol(
            "1,000 steps of Adam with rate 0.001, 64 samples a step; a seed is the mean of 10 runs",
            {"steps": 1000}, (0.001,), {},
        ),
        "paper": Protocol("as `quick`, but the published 8,000 steps", {"steps": 8000}, (0.001,), {}),
    },
    (
        f"""The cost is {", ".join(map(str, START))} for the three powers at the start, and at the optimum, where no b
        is ever 1, {", ".join(map(str, OPTIMUM))}. The temperature of ST Gumbel-Softmax is tau = 1 throughout.""",
    ),
    places=5,
)  # fmt: skip
