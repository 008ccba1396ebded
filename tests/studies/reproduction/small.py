"""A small table, whose cells take seconds."""

from __future__ import annotations

from drawgrad.studies.reproduction import Cell, Claim, Protocol, Table, TrainAutoencoder, TrainStructured

__all__ = ["TABLE"]

VARIABLES = {"data": "digits", "variables": 4, "categories": 3, "test_samples": 5}
ROWS = {"SBN": TrainStructured(VARIABLES), "VAE": TrainAutoencoder(VARIABLES | {"hidden": 0})}
COLUMNS = {"relaxed": ("GumbelSoftmax", 30.0), "ST": ("StraightThrough", 31.0), "ours": ("LeaveOneOut", None)}

TABLE = Table(
    "small",
    "Small digits",
    "Nobody. A table for tests. 2026",
    "nats",
    tuple(
        Cell(row, column, recipe.changed(estimator=estimator), printed, ("a deviation",))
        for row, recipe in ROWS.items()
        for column, (estimator, printed) in COLUMNS.items()
    ),
    (Claim("SBN", "relaxed", "ST"), Claim("VAE", "ST", "relaxed")),
    {
        "quick": Protocol("two epochs", {"epochs": 2}, (1e-2, 1e-3), {"epochs": 1}),
        "one rate": Protocol("one epoch", {"epochs": 1}, (1e-2,), {}),
        "divergent": Protocol("far too fast", {"epochs": 1, "optimizer": "sgd"}, (9e37, 1e38), {}),
    },
    ("A note\n   of two lines.",),
)
