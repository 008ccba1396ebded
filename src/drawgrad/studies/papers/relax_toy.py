"""Grathwohl, Choi, Wu, Roeder, Duvenaud. Backpropagation through the void. ICLR 2018: the toy problem.

After Tucker et al. (2017). The paper shows curves at t = 0.499 and prints no figures; `drawgrad.studies.exhibits.coin`
tells why REBAR stands still there, and what helps it.
"""

from __future__ import annotations

from drawgrad.studies.reproduction import Cell, Claim, Protocol, Table, TrainCoin

__all__ = ["RELAX_TOY"]

TARGETS = (0.45, 0.49, 0.499)
DEVIATIONS: dict[str, tuple[str, ...]] = {
    "REINFORCE": (),
    "REBAR": (),
    "RELAX": (),
    "REBAR, linear cost": ("ours: the cost written as b (1 - 2t) + t^2, the same for zeros and ones",),
    "DisARM": ("ours: two coins a step",),
}
ROWS = {target: f"t = {target:g}" for target in TARGETS}
COINS = {"runs": 40}

RELAX_TOY = Table(
    "relax-toy",
    "One coin b with cost (b - t)^2: share of the way to the optimum",
    "Grathwohl et al. Backpropagation through the void. ICLR 2018, the toy problem",
    "1 at the optimum, 0 at the start",
    tuple(
        Cell(row, column, TrainCoin(COINS | {"gradient": column, "target": target}), None, deviations)
        for target, row in ROWS.items()
        for column, deviations in DEVIATIONS.items()
    ),
    tuple(Claim(row, "RELAX", worse) for row in ROWS.values() for worse in ("REINFORCE", "REBAR")),
    {
        "quick": Protocol(
            "2,000 steps of Adam with rate 0.01 for the logit and for what an estimator learns, one sample a step; a "
            "seed is the mean of 40 coins",
            {"steps": 2000}, (0.01,), {},
        ),
        "paper": Protocol(
            "as `quick`, but the published 10,000 steps",
            {"steps": 10_000}, (0.01,), {},
        ),
    },
    (
        """Temperature: tau = 1/2 at the start, learned by REBAR and RELAX with their other parameters. Evaluations are
        those of the cost; RELAX has its network besides.""",
    ),
    higher=True,
    places=3,
)  # fmt: skip
