"""Paulus, Maddison, Krause. Rao-Blackwellizing the straight-through Gumbel-Softmax gradient estimator. ICLR 2021.

The autoencoders of MNIST: 50,000 steps, fixed binarization, a test bound with 5000 samples, the best of 20 random
choices of learning rate, momentum and temperature for each figure. The sizes of the layers stand in an appendix that
was not at hand; of the code it is said that its whole dimension stays the same for any number of classes.
"""

from __future__ import annotations

from typing import Any

from drawgrad.studies.reproduction import Cell, Claim, Protocol, Table, TrainAutoencoder

__all__ = ["GUMBEL_RAO_VAE"]

DIMENSION = 240
CLASSES = (2, 4, 8, 16)
BATCHES = (20, 200)
SOFT, HARD = {"tau": 1.0, "tau_min": 0.5, "tau_every": 500}, {"tau": 0.65, "tau_min": 0.65}
RAO = {"tau": 0.35, "tau_min": 0.35}
GRADIENTS: dict[str, dict[str, Any]] = {
    "Gumbel-Softmax": {"estimator": "GumbelSoftmax", **SOFT},
    "REINFORCE": {"estimator": "Reinforce"},
    "ST": {"estimator": "StraightThrough"},
    "ST Gumbel-Softmax": {"estimator": "STGumbelSoftmax", **HARD},
    "Gumbel-Rao, 10": {"estimator": "GumbelRao(conditional_samples=10)", **RAO},
    "Gumbel-Rao, 100": {"estimator": "GumbelRao(conditional_samples=100)", **RAO},
    "Gumbel-Rao, 1000": {"estimator": "GumbelRao(conditional_samples=1000)", **RAO},
}
PRINTED: dict[str, tuple[float, ...]] = {
    "Gumbel-Softmax": (98.2, 96.4, 95.7, 93.8, 95.5, 92.3, 96.8, 94.3),
    "REINFORCE": (202.6, 121.4, 173.7, 122.2, 203.9, 124.9, 169.4, 129.5),
    "ST": (105.5, 103.1, 106.2, 104.5, 107.2, 105.1, 108.2, 104.5),
    "ST Gumbel-Softmax": (100.7, 97.1, 99.1, 93.7, 98.0, 92.8, 98.8, 92.6),
    "Gumbel-Rao, 10": (100.7, 97.4, 97.8, 93.8, 97.4, 93.1, 97.9, 92.4),
    "Gumbel-Rao, 100": (100.6, 96.8, 97.5, 94.0, 96.8, 92.2, 97.3, 92.4),
    "Gumbel-Rao, 1000": (100.5, 97.0, 97.6, 93.5, 96.5, 92.5, 96.8, 92.2),
}
"""For 2, 4, 8 and 16 classes, each with batches of 20 and of 200."""
ROWS = {(classes, batch): f"{classes} classes, batches of {batch}" for classes in CLASSES for batch in BATCHES}
COMMON = {"data": "binarized-mnist", "latent": "categorical", "hidden": 240, "test_samples": 5000}
DEVIATIONS = (
    "one hidden layer of 240 units each way, learned prior",
    "temperatures are not searched, but the printed means of the best: 0.65 for ST Gumbel-Softmax, 0.35 for Gumbel-Rao",
)

GUMBEL_RAO_VAE = Table(
    "gumbel-rao-vae",
    "Test bound of binarized MNIST by gradient, classes and batch size",
    "Paulus, Maddison, Krause. Rao-Blackwellizing the straight-through Gumbel-Softmax. ICLR 2021, MNIST",
    "nats",
    tuple(
        Cell(
            row, column,
            TrainAutoencoder(
                COMMON | gradient | {"categories": classes, "variables": DIMENSION // classes, "batch_size": batch}
            ),
            PRINTED[column][place], DEVIATIONS,
        )
        for place, ((classes, batch), row) in enumerate(ROWS.items())
        for column, gradient in GRADIENTS.items()
    ),
    tuple(Claim(row, "Gumbel-Rao, 1000", "ST Gumbel-Softmax") for row in ROWS.values()),
    {
        "quick": Protocol(
            "Adam with rate 0.001, 4 epochs (10,000 steps with batches of 20, 1,000 with batches of 200), 100 samples "
            "an image for the test bound",
            {"optimizer": "adam", "epochs": 4, "test_samples": 100}, (1e-3,), {},
        ),
        "paper": Protocol(
            "SGD with momentum 0.9; the learning rate is the best of four on the validation set (one seed, 100 samples "
            "an image); --steps 50000 gives rows of both batch sizes the printed number of steps",
            {"optimizer": "sgd", "momentum": 0.9, "epochs": 20}, (1e-4, 3e-4, 1e-3, 3e-3), {"test_samples": 100},
        ),
    },
    (
        """The temperature of Gumbel-Softmax is max(0.5, exp(-r t)) after t steps, t rounded down to a multiple of 500;
        r is such that it is lowest after three quarters of the steps. Evaluations are those of the decoder: the
        conditional samples of Gumbel-Rao share one.""",
    ),
)  # fmt: skip
