"""Jang, Gu, Poole. Categorical reparameterization with Gumbel-Softmax. ICLR 2017: Table 2.

What the text of the paper does not state: the sizes of the layers and the number of normal variables (they stand in a
figure), optimizer, batch size, number of steps, and on which images the bound was measured. Its weight of the
cross-entropy was the best one for the accuracy on the test images; here nothing was chosen on them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from drawgrad.studies.reproduction import Cell, Claim, Protocol, Table, TrainClassifier

__all__ = ["TABLE2"]

COMMON = {"data": "mnist", "labels": 10}
ANNEALED = {"tau": 1.0, "tau_min": 0.5}
"""max(0.5, exp(-r t)), with the rate r of the protocol."""
GRADIENTS: dict[str, dict[str, Any]] = {
    "marginalization": {"estimator": "Exact"},
    "Gumbel-Softmax": {"estimator": "GumbelSoftmax", **ANNEALED},
    "ST Gumbel-Softmax": {"estimator": "STGumbelSoftmax", **ANNEALED},
}
"""The columns of the paper."""
LATER: dict[str, dict[str, Any]] = {
    "ReinMax": {"estimator": "ReinMax", "tau": 1.0},
    "leave-one-out": {"estimator": "LeaveOneOut", "samples": 2},
}
"""Columns of ours."""

ACCURACY, ELBO = "accuracy, %", "ELBO, nats"
PRINTED = {
    "marginalization": {ACCURACY: 92.6, ELBO: -106.8},
    "Gumbel-Softmax": {ACCURACY: 92.4, ELBO: -109.6},
    "ST Gumbel-Softmax": {ACCURACY: 93.6, ELBO: -110.7},
}
DEVIATIONS = (
    "two convolutions and a layer of 128 units in each network, where the paper has three or four convolutions",
)


def _cells() -> tuple[Cell, ...]:
    recipes = {column: TrainClassifier(COMMON | gradient) for column, gradient in (GRADIENTS | LATER).items()}
    return tuple(
        Cell(row, column, recipe, PRINTED.get(column, {}).get(row), DEVIATIONS, quantity)
        for row, quantity in ((ACCURACY, "value"), (ELBO, "elbo"))
        for column, recipe in recipes.items()
    )


PROTOCOLS: Mapping[str, Protocol] = {
    "quick": Protocol(
        "Adam at 3e-3, a fifth of it over the last fifth of the steps; batches of 50 images and of 25 labeled ones, "
        "2 epochs (2,000 steps); 8 and 16 channels, 32 normal variables; the cross-entropy of a label weighs 50 times "
        "a bound, and is of images that are turned, stretched and shifted a little at random, other than the paper's; "
        "the weights are averaged over the last 500 steps or so; temperatures reach their lowest after three quarters "
        "of the steps; all this was chosen on the validation images, with Gumbel-Softmax and one seed",
        {"batch_size": 50, "labeled_batch": 25, "epochs": 2, "alpha": 50.0, "augment": True, "lr_end": 0.2,
         "checkpoint_every": 100},
        (3e-3,),
        {},
    ),
    "paper": Protocol(
        "Adam, batches of 100 images and 100 labeled ones, 200 epochs (100,000 steps); 32 and 64 channels, 50 normal "
        "variables; the weight of the cross-entropy is 1, the largest of the paper's; no image is moved; the learning "
        "rate is the best of three for the accuracy on the validation images (one seed, 40 epochs); the temperature "
        "changes every 2000 steps, by exp(-3e-5 t)",
        {
            "batch_size": 100, "labeled_batch": 100, "epochs": 200, "alpha": 1.0, "augment": False, "channels": 32,
            "normals": 50, "tau_rate": 3e-5, "tau_every": 2000, "lr_end": 1.0,
        },
        (1e-4, 3e-4, 1e-3),
        {"epochs": 40},
    ),
}  # fmt: skip

NOTES = (
    """Ten labels of each class, another choice for each seed; 50,000 images without one, binarized anew at every step.
    The 10,000 test images are binarized once. The class is a categorical variable of the autoencoder, z normal.""",
    """ELBO: marginalized over the classes, whatever the gradient in training, one sample of z for each class. The
    accuracy is that of the most probable class.""",
)

TABLE2 = Table(
    "jang2017-table2",
    "Classification of MNIST with 100 labels by gradient",
    "Jang, Gu, Poole. Categorical reparameterization with Gumbel-Softmax. ICLR 2017, Table 2",
    "",
    _cells(),
    (
        Claim(ACCURACY, "ST Gumbel-Softmax", "marginalization"),
        Claim(ACCURACY, "marginalization", "Gumbel-Softmax"),
        Claim(ELBO, "marginalization", "Gumbel-Softmax"),
        Claim(ELBO, "marginalization", "ST Gumbel-Softmax"),
    ),
    PROTOCOLS,
    NOTES,
    higher=True,
)
