"""Structured output prediction on real images: it learns, and what it learned follows from the settings."""

from __future__ import annotations

import pytest
import torch

from drawgrad.estimators import Rebar
from drawgrad.studies.data import load
from drawgrad.studies.runs.folder import RunFolder
from drawgrad.studies.runs.loop import fit
from drawgrad.studies.runs.settings import SettingError
from drawgrad.studies.tasks.structured.config import configure
from drawgrad.studies.tasks.structured.training import (
    StructuredTask,
    build_network,
    halves,
    log_likelihood,
    network_run,
)

IMAGES = load("digits")


def settings(**more):
    return configure(
        **({"data": "digits", "variables": 6, "categories": 4, "epochs": 3, "lr": 0.01, "test_samples": 10} | more)
    )


def train(config, folder):
    run = network_run(config, IMAGES, folder)
    fit(run)
    return run.task.model


def test_halves_are_those_of_the_picture():
    picture = torch.arange(64.0).reshape(1, 64)
    upper, lower = halves(picture)
    assert torch.equal(upper.reshape(4, 8), picture.reshape(8, 8)[:4])
    assert torch.equal(lower.reshape(4, 8), picture.reshape(8, 8)[4:])


@pytest.mark.parametrize("estimator", ["GumbelSoftmax", "Vimco", "Rebar"])
def test_it_learns_more_than_the_mean_of_the_pixels(estimator, tmp_path):
    config = settings(estimator=estimator, epochs=20)
    folder = RunFolder(tmp_path / "run")
    with folder.held():
        folder.begin(config)
        model = train(config, folder)
    x = (IMAGES.test > 7).float()
    generator = torch.Generator().manual_seed(0)
    untrained = log_likelihood(build_network(config, IMAGES), x, 10, generator)
    trained = log_likelihood(model, x, 10, generator)
    assert trained.nats > untrained.nats + 0.5
    assert trained.elbo <= trained.nats
    # A finished run is taken up as it is.
    again = train(config, folder)
    weights = (torch.nn.utils.parameters_to_vector(each.parameters()) for each in (model, again))
    assert torch.equal(*weights)


def test_estimators_within_estimators_learn_no_temperature():
    model = build_network(settings(estimator="Rebar"), IMAGES)
    first, last = model.estimators
    assert isinstance(first, Rebar)
    assert [each.log_tau.requires_grad for each in (first, last)] == [False, True]


def test_every_step_has_the_temperature_of_the_schedule():
    config = settings(tau=2.0, tau_min=0.5, tau_rate=0.1, tau_every=1)
    task = StructuredTask(build_network(config, IMAGES), IMAGES, config, steps=30)
    assert [round(task.settings(step)["tau"], 3) for step in (0, 1, 29)] == [2.0, 1.81, 0.5]


def test_an_estimator_that_does_not_fit_is_refused():
    with pytest.raises(SettingError, match="DisArm does not take a categorical code; those that fit"):
        build_network(settings(estimator="DisArm"), IMAGES)
    with pytest.raises(SettingError, match=r"multi_sample_bound needs several samples an image, but ReinMax draws 1"):
        build_network(settings(estimator="ReinMax", multi_sample_bound=True), IMAGES)
