"""Jang, Gu, Poole. Categorical reparameterization with Gumbel-Softmax. ICLR 2017: Table 1.

What the paper does not state: batch size, number of steps, initial weights, seeds, the schedule of slope annealing, and
the point about which DARN expands for categorical variables. Two versions of it differ in the prior of the categorical
autoencoder, and the caption of its Figure 4 ("784-(20x10)-200") leaves open whether the decoder has a layer of 200
units: each reading has a row of its own.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from drawgrad.studies.reproduction import Cell, Claim, Protocol, Table, TrainAutoencoder, Training, TrainStructured

__all__ = ["TABLE1"]

ANNEALED = {"tau": 1.0, "tau_min": 0.5, "tau_every": 500}
"""max(0.5, exp(-r t)), with the rate r of the protocol."""
FIXED = {"tau": 1.0, "tau_min": 1.0}
STEEPER = {"tau": 1.0, "tau_min": 0.2}

GRADIENTS: dict[str, dict[str, Any]] = {
    "SF": {"estimator": "Reinforce", "baseline": "nvil"},
    "DARN": {"estimator": "Darn(point='uniform')"},
    "MuProp": {"estimator": "MuProp"},
    "ST": {"estimator": "StraightThrough"},
    "annealed ST": {"estimator": "SlopeAnnealedStraightThrough", **STEEPER},
    "Gumbel-Softmax": {"estimator": "GumbelSoftmax"},
    "ST Gumbel-Softmax": {"estimator": "STGumbelSoftmax"},
}
"""The columns of the paper."""
LATER: dict[str, dict[str, Any]] = {
    "leave-one-out": {"estimator": "LeaveOneOut"},
    "Gumbel-Softmax, 5 samples": {"estimator": "GumbelSoftmax", "samples": 5, "multi_sample_bound": True},
    "VIMCO, 5 samples": {"estimator": "Vimco", "samples": 5},
    "ReinMax": {"estimator": "ReinMax"},
    "Gumbel-Rao": {"estimator": "GumbelRao"},
    "REBAR": {"estimator": "Rebar"},
    "RELAX": {"estimator": "Relax"},
    "DisARM": {},
}
"""Columns of ours."""
DISARM = {"bernoulli": "DisArm", "categorical": "CategoricalDisArm"}
PAIRS = {TrainStructured: 2, TrainAutoencoder: 4}
"""Samples of a variable for leave-one-out, so that it has four evaluations of the model everywhere."""

DEVIATIONS = {
    "SF": (
        "baseline of NVIL (moving average, a network of 100 tanh units), divided by max(1, standard deviation)",
        "the KL of an autoencoder is sampled, so that it is divided too",
    ),
    "DARN": ("its expansion is about the sample, evaluated at the uniform point, which the paper has for Bernoulli",
             "no division by a standard deviation"),
    "MuProp": ("no division by a standard deviation",),
    "annealed ST": ("slope from 1 to 5, exponentially, over three quarters of the steps",),
}  # fmt: skip

PRINTED: dict[str, tuple[float, ...]] = {
    "SBN, Bernoulli": (72.0, 59.7, 58.9, 58.9, 58.7, 58.5, 59.3),
    "SBN, categorical": (73.1, 67.9, 63.0, 61.8, 61.1, 59.0, 59.7),
    "VAE, Bernoulli": (112.2, 110.9, 109.7, 116.0, 111.5, 105.0, 111.5),
    "VAE, categorical": (110.6, 128.8, 107.0, 110.9, 107.8, 101.5, 107.8),
}

COMMON = {"data": "binarized-mnist", "test_samples": 1000}
BERNOULLI = {"latent": "bernoulli", "variables": 200}
CATEGORICAL = {"latent": "categorical", "variables": 20, "categories": 10}
LINEAR = {"hidden": 0, "kl_warmup": 0}
# A relaxed prediction is trained at one temperature, the autoencoder with annealing.
ROWS: dict[str, tuple[type[Training], dict[str, Any], dict[str, Any]]] = {
    "SBN, Bernoulli": (TrainStructured, COMMON | BERNOULLI, FIXED),
    "SBN, categorical": (TrainStructured, COMMON | CATEGORICAL, FIXED),
    "VAE, Bernoulli": (TrainAutoencoder, COMMON | BERNOULLI | LINEAR, ANNEALED),
    "VAE, categorical": (TrainAutoencoder, COMMON | CATEGORICAL | LINEAR, ANNEALED),
}
READINGS: dict[str, dict[str, Any]] = {
    "VAE, categorical, uniform prior": CATEGORICAL | LINEAR | {"prior": "uniform"},
    "VAE, categorical, 200 units in the decoder": CATEGORICAL | LINEAR | {"decoder_hidden": 200},
    "VAE, categorical, 200 units on both sides": CATEGORICAL | {"hidden": 200, "kl_warmup": 0},
}
"""Other readings of the last row, and the model with a hidden layer each way."""
READ_BY = ("Gumbel-Softmax", "ST Gumbel-Softmax", "ReinMax")

LONGER = "Gumbel-Softmax, 100 epochs"
"""The best of what was tried for the autoencoders with one sample a step."""
LONGER_TRAINING = {"optimizer": "adam", "batch_size": 100, "epochs": 100, "lr_end": 0.2, "tau_rate": None}
LONGER_RATES = {"VAE, Bernoulli": 0.01, "VAE, categorical": 0.003}

RELAXED = ("Gumbel-Softmax", "Gumbel-Softmax, 5 samples", "ST Gumbel-Softmax", "Gumbel-Rao")
"""Methods whose temperature is that of the row; others keep their own."""


def _cells() -> tuple[Cell, ...]:
    found = []
    for row, (kind, settings, temperature) in ROWS.items():
        printed = dict(zip(GRADIENTS, PRINTED[row], strict=True))
        for column, gradient in (GRADIENTS | LATER).items():
            given = gradient | ({"estimator": DISARM[settings["latent"]]} if column == "DisARM" else {})
            given = given | ({"samples": PAIRS[kind]} if column == "leave-one-out" else {})
            given = given | (temperature if column in RELAXED else {})
            given = given | ({"kl": "sampled"} if column == "SF" and kind is TrainAutoencoder else {})
            found.append(Cell(row, column, kind(settings | given), printed.get(column), DEVIATIONS.get(column, ())))
        if row in LONGER_RATES:
            training = LONGER_TRAINING | {"lr": LONGER_RATES[row]}
            recipe = kind(settings | GRADIENTS["Gumbel-Softmax"] | STEEPER)
            words = f"trained by every protocol for {training['epochs']} epochs of Adam at {training['lr']}, tau to 0.2"
            found.append(Cell(row, LONGER, recipe, None, (words,), training=training))
    for row, settings in READINGS.items():
        for column in READ_BY:
            temperature = ANNEALED if column in RELAXED else {}
            recipe = TrainAutoencoder(COMMON | settings | (GRADIENTS | LATER)[column] | temperature)
            found.append(Cell(row, column, recipe))
    return tuple(found)


PROTOCOLS: Mapping[str, Protocol] = {
    "quick": Protocol(
        "Adam, batches of 100, 20 epochs (10,000 steps), a fifth of the learning rate over the last fifth of them; the "
        "learning rate is the best of three on the validation set (one seed, 6 epochs, 20 samples an image); "
        "temperatures reach their lowest after three quarters of the steps",
        {"optimizer": "adam", "batch_size": 100, "epochs": 20, "lr_end": 0.2},
        (3e-4, 1e-3, 3e-3),
        {"epochs": 6, "test_samples": 20},
    ),
    "paper": Protocol(
        "SGD with momentum 0.9, batches of 100, 1000 epochs (500,000 steps); the learning rate is the best of six on "
        "the validation set (one seed, 100 samples an image)",
        {"optimizer": "sgd", "momentum": 0.9, "batch_size": 100, "epochs": 1000, "lr_end": 1.0, "tau_rate": 1e-5},
        (1e-5, 3e-5, 1e-4, 3e-4, 1e-3, 3e-3),
        {"test_samples": 100},
    ),
}

NOTES = (
    """SBN: the lower half of a digit given the upper half, two layers of variables, linear layers between. VAE: one
    layer of variables, linear encoder and decoder, learned prior.""",
    """Test set of 10,000 images, 1000 hard samples an image, minus the log of the mean likelihood ratio. The paper
    prints the mean of the log for SBN, which its figures cannot be.""",
    """Temperature after t steps: 1 for SBN; max(0.5, exp(-r s)), s = 500 floor(t / 500), for VAE. Slope annealing:
    1 / tau with tau = max(0.2, exp(-r s)), s = 100 floor(t / 100). r is such that the lowest temperature is reached
    after three quarters of the steps, or 1e-5 by the protocol `paper`.""",
    """Samples of the variables an image and step: one, but for leave-one-out (4; in SBN 2 for each of two layers),
    DisARM (a pair), and those whose names say how many: they are trained on what all of them bound together.
    Evaluations are samples that the last layer sees, control variates included.""",
    """The KL of an autoencoder is that of the discrete distributions, in closed form but for SF, VIMCO and several
    samples of Gumbel-Softmax. With relaxed samples this is no bound of the relaxed model; all figures here are bounds
    of the discrete one.""",
    """Gumbel-Softmax, 100 epochs, is trained like that by every protocol: Adam at 0.01 (Bernoulli) or 0.003, a fifth of
    it over the last fifth of the steps, temperature max(0.2, exp(-r s)), s = 100 floor(t / 100).""",
)

TABLE1 = Table(
    "jang2017-table1",
    "Test negative log-likelihood of binarized MNIST by gradient",
    "Jang, Gu, Poole. Categorical reparameterization with Gumbel-Softmax. ICLR 2017, Table 1",
    "nats",
    _cells(),
    tuple(Claim(row, "Gumbel-Softmax", column) for row in ROWS for column in GRADIENTS if column != "Gumbel-Softmax"),
    PROTOCOLS,
    NOTES,
)
