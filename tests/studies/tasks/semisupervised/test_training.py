"""Training with few labels, on small real images: it learns classes, and goes on where it was stopped."""

from __future__ import annotations

import pytest
import torch

from drawgrad.estimators import Exact
from drawgrad.studies.data import load
from drawgrad.studies.data.labels import load_labels
from drawgrad.studies.runs.folder import RunFolder
from drawgrad.studies.runs.loop import fit
from drawgrad.studies.runs.settings import SettingError
from drawgrad.studies.tasks.semisupervised.config import configure
from drawgrad.studies.tasks.semisupervised.training import (
    SemiSupervisedTask,
    build_classifier,
    chosen,
    classifier_run,
    measure,
)

IMAGES, LABELS = load("digits"), load_labels("digits")
X = (IMAGES.test > 7).float()


def settings(**more):
    small = {"data": "digits", "estimator": "Exact", "units": 32, "normals": 4, "augment": False, "lr": 3e-3}
    return configure(**(small | {"epochs": 2} | more))


def trained(config, path, **more):
    folder = RunFolder(path)
    with folder.held():
        if not folder.config.exists():
            folder.begin(config)
        run = classifier_run(config, IMAGES, LABELS, folder, **more)
        fit(run)
    return run.task.model.average


def measured(model):
    return measure(model, X, LABELS.test, torch.Generator().manual_seed(0))


def test_labels_are_told_of_as_many_images_of_each_class_chosen_by_the_seed():
    rows = chosen(LABELS.train, 10, 0)
    assert LABELS.train[rows].bincount().tolist() == [10] * 10
    assert len(rows.unique()) == 100
    assert torch.equal(rows, chosen(LABELS.train, 10, 0))
    assert not torch.equal(rows, chosen(LABELS.train, 10, 1))


@pytest.mark.parametrize("estimator", ["Exact", "STGumbelSoftmax"])
def test_it_learns_classes_and_images(estimator, tmp_path):
    config = settings(estimator=estimator, epochs=6, channels=4)
    found = measured(trained(config, tmp_path / "run"))
    untrained = measured(build_classifier(config, IMAGES))
    assert untrained.accuracy < 0.4
    assert found.accuracy > 0.5
    assert found.elbo > untrained.elbo + 5
    assert 0 < found.accuracy_error < 0.05
    assert 0 < found.elbo_error < 1


def test_no_label_but_the_chosen_ones_is_looked_at():
    """The gradient of a step is the same whatever the labels of all other images are."""
    rows = chosen(LABELS.train, 10, 0)
    hidden = torch.zeros_like(LABELS.train)
    hidden[rows] = LABELS.train[rows]

    def grads(labels):
        config = settings()
        model = build_classifier(config, IMAGES)
        task = SemiSupervisedTask(model, IMAGES, labels, config, 10)
        # Which images those are is the matter of `chosen`.
        task._labeled, task._labels = IMAGES.train[rows], labels.train[rows]
        task.loss(torch.arange(50), 0, torch.Generator().manual_seed(0))[0].backward()
        return [weight.grad for weight in model.parameters()]

    known = type(LABELS)(LABELS.train, LABELS.valid, LABELS.test)
    unknown = type(LABELS)(hidden.clone(), LABELS.valid, LABELS.test)
    other = type(LABELS)((LABELS.train + 1) % 10, LABELS.valid, LABELS.test)
    same = [torch.equal(*pair) for pair in zip(grads(known), grads(unknown), strict=True)]
    assert all(same)
    assert not all(torch.equal(*pair) for pair in zip(grads(known), grads(other), strict=True))


def test_a_stopped_training_ends_with_the_same_weights(tmp_path, monkeypatch):
    whole = trained(settings(checkpoint_every=5), tmp_path / "whole")

    class Stopped(BaseException):
        pass

    def stop(progress):
        if progress.step == 17:
            raise Stopped

    config = settings(checkpoint_every=5)
    with pytest.raises(Stopped):
        trained(config, tmp_path / "cut", listener=stop)
    cut = trained(config, tmp_path / "cut")
    assert all(torch.equal(*pair) for pair in zip(whole.parameters(), cut.parameters(), strict=True))


def test_moved_images_are_only_those_of_the_cross_entropy():
    losses = []
    for augment in (False, True):
        config = settings(augment=augment)
        task = SemiSupervisedTask(build_classifier(config, IMAGES), IMAGES, LABELS, config, 10)
        losses.append(task.loss(torch.arange(50), 0, torch.Generator().manual_seed(0))[1])
    plain, moved = losses
    assert (plain["elbo"], plain["labeled"]) == (moved["elbo"], moved["labeled"])
    assert plain["cross_entropy"] != moved["cross_entropy"]


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"latent": "bernoulli"}, "latent must be categorical"),
        ({"variables": 2}, "variables must be 1, the class of an image, but it is 2"),
        ({"labels": 200}, "labels must be at most 125, as the rarest class has, but it is 200"),
        ({"categories": 5}, "categories must be at least 10, the classes of the images"),
        ({"alpha": -1.0}, "alpha must be at least 0"),
    ],
)
def test_a_setting_that_cannot_be_is_refused(more, message):
    def begin():
        config = settings(**more)
        SemiSupervisedTask(build_classifier(config, IMAGES), IMAGES, LABELS, config, 10)

    with pytest.raises(SettingError, match=message):
        begin()


def test_an_average_over_classes_is_what_is_measured():
    model = build_classifier(settings(), IMAGES)
    found = measured(model)
    bounds = -model.bound(X, Exact(), torch.Generator().manual_seed(0)).detach()
    assert found.elbo == pytest.approx(float(bounds.mean()), rel=1e-5)
    right = (model.log_probs(X).argmax(-1) == LABELS.test).float().mean()
    assert found.accuracy == pytest.approx(float(right))
