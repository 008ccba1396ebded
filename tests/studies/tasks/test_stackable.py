"""Trainings on images as one program: two steps of every gradient, beside those of the usual loop."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from drawgrad.estimators import ESTIMATORS
from drawgrad.studies.reproduction import TrainAutoencoder, Training, TrainStructured
from drawgrad.studies.runs.folder import RunFolder
from drawgrad.studies.runs.loop import fit
from drawgrad.studies.runs.stack import fit_together
from drawgrad.studies.tasks.autoencoder.gradient import fitting
from tests.studies.tasks.autoencoder.small import small_images

IMAGES = small_images()
SMALL = {"data": "digits", "variables": 2, "epochs": 2, "optimizer": "sgd", "lr": 0.03, "batch_size": 40}
LATENT = {"categorical": {"latent": "categorical", "categories": 3}, "bernoulli": {"latent": "bernoulli"}}
KINDS = {"autoencoder": TrainAutoencoder(SMALL | {"hidden": 3, "kl_warmup": 0}), "structured": TrainStructured(SMALL)}
SEEDS = 0, 1


def weights(recipe: Training, folder: Path, stack: bool) -> list[dict[str, torch.Tensor]]:
    """What the seeds are trained to."""
    runs = []
    for seed in SEEDS:
        config, place = recipe.config(seed), RunFolder(folder / f"{seed} {stack}")
        place.root.mkdir(parents=True)
        place.begin(config)
        runs.append(recipe.prepared(config, IMAGES, place, lambda progress: None))
    if stack:
        assert fit_together(runs) == [None] * len(runs)
    else:
        for run in runs:
            fit(run)
    return [run.task.model.state_dict() for run in runs]


def untrained(recipe: Training) -> dict[str, torch.Tensor]:
    """What the first seed begins with."""
    return recipe.prepared(recipe.config(0), IMAGES, RunFolder(Path()), lambda progress: None).task.model.state_dict()


def difference(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> float:
    """The largest, of all weights and all that is remembered."""
    return max(float((one[name] - other[name]).abs().max()) for name in one)


@pytest.mark.parametrize("latent", LATENT)
@pytest.mark.parametrize("kind", KINDS)
def test_every_gradient_that_may_be_stacked_is_the_one_of_the_usual_loop(kind, latent, tmp_path):
    whole = KINDS[kind].changed(**LATENT[latent])
    recipes = {name: whole.changed(estimator=name) for name in fitting(whole.config(0))}
    recipes |= {f"Reinforce, {name}": recipes["Reinforce"].changed(baseline=name) for name in ("none", "nvil")}
    recipes["ReinMax, bound"] = recipes["ReinMax"].changed(samples=2, multi_sample_bound=True)
    stackable = {name: recipe for name, recipe in recipes.items() if recipe.single() is None}
    assert {"GumbelSoftmax", "MuProp", "Reinforce, nvil", "ReinMax, bound"} <= stackable.keys()
    for name, recipe in stackable.items():
        usual, stacked = (weights(recipe, tmp_path / name, stack) for stack in (False, True))
        found = [difference(*pair) for pair in zip(usual, stacked, strict=True)]
        assert max(found) < 1e-5, name
        # Other seeds, and weights that did not move, are farther than that.
        assert difference(*stacked) > 1e-2, name
        assert difference(untrained(recipe), stacked[0]) > 1e-3, name


def test_a_control_variate_that_learns_would_not_learn_in_a_stack(tmp_path):
    recipe = KINDS["autoencoder"].changed(**LATENT["categorical"], estimator="Rebar")
    usual, stacked = (weights(recipe, tmp_path, stack)[0]["estimator.log_tau"] for stack in (False, True))
    assert stacked == untrained(recipe)["estimator.log_tau"]
    assert usual != stacked


def test_what_may_not_be_stacked_says_why():
    said = {}
    for name in ESTIMATORS:
        if name in fitting(KINDS["structured"].config(0)):
            said[name] = KINDS["structured"].changed(estimator=name).single()
    assert {name for name, reason in said.items() if reason is not None} == {
        "DoubleCV", "Rebar", "Relax", "Rodeo", "Vimco"
    }  # fmt: skip
    assert said["Relax"] == "has a gradient, Relax, whose control variate learns in backward() alone"
    assert said["Vimco"] == "draws all layers of its bound at once, with torch's own samplers"
