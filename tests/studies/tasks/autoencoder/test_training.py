"""The main job in one process: it learns, measures, draws, and continues."""

from __future__ import annotations

import math

import pytest
import torch

from drawgrad._tables import with_spread
from drawgrad.studies.runs.folder import RunFolder
from drawgrad.studies.runs.settings import SettingError, read_settings
from drawgrad.studies.tasks.autoencoder.config import AutoencoderConfig, configure
from drawgrad.studies.tasks.autoencoder.figure import draw_figure
from drawgrad.studies.tasks.autoencoder.report import results_table
from drawgrad.studies.tasks.autoencoder.training import (
    Results,
    build_model,
    lr_schedule,
    measure,
    read_results,
    select_device,
    train_vae,
)
from tests.studies.tasks.autoencoder.small import small_images

IMAGES = small_images(count=200)


def settings(**more) -> AutoencoderConfig:
    return configure(
        **({"variables": 4, "categories": 3, "hidden": 16, "epochs": 30, "batch_size": 20, "test_samples": 20} | more)
    )


@pytest.fixture
def folder(tmp_path) -> RunFolder:
    return RunFolder(tmp_path)


def base_rate_bound() -> float:
    """The best log-likelihood, on the training images, of pixels that do not depend on each other."""
    p = IMAGES.base_rates().double()
    return float(torch.special.entr(p).sum() + torch.special.entr(1 - p).sum())


@pytest.mark.parametrize(
    "more",
    [
        {"latent": "categorical"},
        {"latent": "categorical", "hard": True, "prior": "uniform"},
        {"latent": "bernoulli", "variables": 8},
        {"latent": "gaussian"},
        {"optimizer": "sgd", "lr": 0.02},
        {"hidden": 0, "lr_end": 0.2},
    ],
    ids=lambda more: "-".join(map(str, more.values())),
)
def test_it_learns_more_than_the_mean_image_and_says_so(more, folder):
    config = settings(**({"lr": 0.01} | more))
    trained = train_vae(config, IMAGES, folder)
    results = measure(trained, folder)
    # Six shapes: much is to be gained over independent pixels.
    assert results.test_bound > -base_rate_bound() + 0.5
    assert results.test_elbo <= results.test_bound
    assert results.test_kl > 0.3
    assert 0 < results.active_variables <= results.variables
    assert read_results(folder) == read_settings(Results, folder.results) == results
    assert all(value is None or math.isfinite(value) for value in vars(results).values())

    draw_figure(trained, IMAGES, folder.metrics, folder.figure, results)
    assert folder.figure.read_bytes().startswith(b"\x89PNG")
    assert folder.figure.stat().st_size > 50_000
    table = results_table(config, results)
    assert with_spread(results.test_bound, results.test_bound_error) in table


def test_the_same_seed_gives_the_same_weights_and_another_seed_others(tmp_path):
    def weights(name: str, **more) -> torch.Tensor:
        folder = RunFolder(tmp_path / name)
        folder.root.mkdir()
        trained = train_vae(settings(epochs=2, **more), IMAGES, folder)
        return torch.nn.utils.parameters_to_vector(trained.model.parameters())

    assert torch.equal(weights("a"), weights("b"))
    assert not torch.equal(weights("a2"), weights("c", seed=1))
    assert not torch.equal(weights("a3"), weights("d", latent="categorical", tau=2.0))


def test_the_learning_rate_falls_over_the_last_fifth():
    lr = lr_schedule(settings(lr=0.1, lr_end=0.5).optimization, steps=10)
    assert [lr(step) for step in range(10)] == [0.1] * 8 + [0.05] * 2
    assert lr_schedule(settings(lr=0.1).optimization, steps=10)(9) == 0.1
    assert lr_schedule(settings(lr=0.1, lr_end=0.5).optimization, steps=4)(3) == 0.1


def test_the_last_steps_are_taken_with_the_learning_rate_of_the_end(tmp_path):
    def weights(name: str, **more) -> torch.Tensor:
        folder = RunFolder(tmp_path / name)
        folder.root.mkdir()
        trained = train_vae(settings(lr=0.01, **more), IMAGES, folder)
        return torch.nn.utils.parameters_to_vector(trained.model.parameters())

    # Over the last of five epochs the rate is zero.
    assert torch.equal(weights("a", epochs=5, lr_end=0.0, tau_rate=0.0), weights("b", epochs=4, tau_rate=0.0))
    assert not torch.equal(weights("c", epochs=5, tau_rate=0.0), weights("d", epochs=4, tau_rate=0.0))


def test_a_fixed_prior_stays(folder):
    trained = train_vae(settings(epochs=2, prior="uniform"), IMAGES, folder)
    assert (trained.model.prior_parameters == 0).all()


def test_a_device_that_is_not_there_is_an_error_with_the_ones_that_are():
    for name in ("cuda:99", "no such thing", "", "meta", "cpu:x"):
        with pytest.raises(
            SettingError, match=f"^device {name} is not available on this machine, which has cpu.*; choose"
        ):
            select_device(name)
    assert select_device("cpu") == torch.device("cpu")


@pytest.mark.gpu
def test_it_trains_on_a_gpu(tmp_path):
    folder = RunFolder(tmp_path)
    trained = train_vae(settings(device="cuda"), IMAGES, folder)
    results = measure(trained, folder)
    assert results.test_bound > -base_rate_bound() + 0.5
    draw_figure(trained, IMAGES, folder.metrics, folder.figure, results)


def test_initial_weights_do_not_depend_on_the_kind_of_images_on_hand():
    first, second = build_model(settings(), IMAGES), build_model(settings(), small_images(count=10, seed=4))
    assert torch.equal(first.encoder[0].weight, second.encoder[0].weight)
    assert not torch.equal(first.mean, second.mean)


@pytest.mark.parametrize(
    "more",
    [
        {"hidden": 10**6, "variables": 10**4},
        {"variables": 10**6, "categories": 10**6},
        {"samples": 10**6, "estimator": "ReinMax", "hidden": 10**5},
    ],
    ids=["hidden", "categories", "samples"],
)
def test_what_is_larger_than_the_memory_is_refused_before_it_is_made(more):
    with pytest.raises(SettingError, match=r"^these settings need [\d,.]+ GiB of memory at least, but there are"):
        build_model(settings(**more), IMAGES)


@pytest.mark.parametrize("content", [b"", b"{", b"7", b"\xff", b'{"test_bound": 1.0}'])
def test_damaged_results_are_none(content, folder):
    assert read_results(folder) is None
    folder.results.write_bytes(content)
    with pytest.warns(RuntimeWarning, match=f"^{folder.results} is damaged; the model is measured again"):
        assert read_results(folder) is None
