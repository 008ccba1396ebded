"""The table that ends a run."""

from __future__ import annotations

import dataclasses

import pytest

from drawgrad.studies.tasks.autoencoder.config import configure
from drawgrad.studies.tasks.autoencoder.report import results_table
from drawgrad.studies.tasks.autoencoder.training import Results

RESULTS = Results(
    test_bound=-22.4321, test_bound_error=0.123, test_samples=1000, test_elbo=-23.5, test_elbo_error=0.2,
    valid_elbo=-23.75, train_elbo=-20.0, test_kl=12.3, active_variables=18, variables=20, perplexity=7.5,
    dead_classes=3, tau=0.2, steps=5600, epochs=400, seconds=28.0, test_seconds=1.5,
)  # fmt: skip


@pytest.mark.parametrize(
    ("given", "parts"),
    [
        ({}, ["digits: 20 variables with 10 classes", "-22.43 ± 0.12  nats, 1000 hard samples an image",
              "gradient by GumbelSoftmax, temperature 0.20", "3 of 200", "7.50", "5600 steps of 5.00 ms"]),
        ({"latent": "bernoulli", "hard": True}, ["200 binary variables", "by STGumbelSoftmax, temperature 0.20"]),
        ({"estimator": "ReinMax"}, ["training ELBO", "nats, gradient by ReinMax, temperature 0.20"]),
        ({"estimator": "ReinMax", "samples": 5, "multi_sample_bound": True},
         ["training bound", "nats, 5 samples an image, gradient by ReinMax, temperature 0.20"]),
        ({"estimator": "Vimco"}, ["training bound", "nats, 2 samples an image, gradient by Vimco"]),
    ],
)  # fmt: skip
def test_it_says_what_was_measured_and_how(given, parts):
    table = results_table(configure(**given), RESULTS)
    assert all(part in table for part in parts), table


def test_a_normal_code_has_no_classes_no_temperature_and_no_hard_samples():
    results = dataclasses.replace(RESULTS, perplexity=None, dead_classes=None, tau=None, test_samples=1)
    table = results_table(configure(latent="gaussian"), results)
    assert "nats, one sample an image" in table
    assert "gradient by Pathwise\n" in table
    assert not any(word in table for word in ("hard", "classes", "temperature", "None"))
