"""What a step minimizes, and how the validation measures."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional as F

from drawgrad.studies.data.images import fixed_binarization
from drawgrad.studies.tasks.autoencoder.config import configure
from drawgrad.studies.tasks.autoencoder.evaluation import draw_codes
from drawgrad.studies.tasks.autoencoder.objective import VALID_SEED, VAETask, kl_weight_schedule, temperature_schedule
from drawgrad.studies.tasks.autoencoder.training import build_model
from tests.statistics import assert_mean
from tests.studies.tasks.autoencoder.small import small_images


def task_of(images=None, **settings) -> VAETask:
    images = images or small_images()
    config = configure(variables=3, categories=4, hidden=8, **settings)
    return VAETask(build_model(config, images), images, config, steps=100)


def loss_of(task: VAETask, step: int = 0) -> tuple[float, dict[str, float]]:
    loss, measured = task.loss(torch.arange(task.examples), step, torch.Generator().manual_seed(1))
    return loss.item(), {name: value.item() for name, value in measured.items()}


def test_the_loss_is_minus_the_bound():
    loss, measured = loss_of(task_of())
    assert loss == pytest.approx(-measured["elbo"])
    assert measured["elbo"] == pytest.approx(-measured["cost"] - measured["kl"])


def test_the_weight_of_the_kl_grows_and_the_report_stays_plain():
    task = task_of(kl_warmup=10)
    for step, weight in ((0, 0.0), (5, 0.5), (10, 1.0), (50, 1.0)):
        loss, measured = loss_of(task, step)
        assert task.settings(step)["kl_weight"] == weight
        assert loss == pytest.approx(measured["cost"] + weight * measured["kl"])
        assert measured["elbo"] == pytest.approx(-measured["cost"] - measured["kl"])


def test_free_bits_cost_the_same_whatever_a_variable_says():
    task = task_of(free_bits=0.5)
    loss, measured = loss_of(task)
    assert measured["kl"] < 1.5, "an untrained code says little"
    assert loss == pytest.approx(measured["cost"] + 3 * 0.5)
    with torch.no_grad():
        task.model.encoder[2].weight.mul_(100)
    loss, measured = loss_of(task)
    assert loss >= measured["cost"] + 1.5 - 1e-5
    assert loss >= measured["cost"] + measured["kl"] - 1e-5


def test_no_gradient_of_the_kl_reaches_a_variable_below_its_free_bits():
    def gradient(free_bits: float) -> torch.Tensor:
        task = task_of(free_bits=free_bits)
        loss, _ = task.loss(torch.arange(40), 0, torch.Generator().manual_seed(1))
        loss.backward()
        return task.model.prior_parameters.grad

    # Only the KL depends on the prior.
    assert (gradient(0.0) != 0).any()
    assert (gradient(5.0) == 0).all()


def test_temperatures_reach_the_lowest_after_three_quarters_of_the_run():
    schedule = temperature_schedule(configure(tau=1.0, tau_min=0.5, tau_every=1).gradient, steps=1000)
    assert schedule(0) == 1.0
    assert schedule(749) > 0.5
    assert schedule(750) == schedule(999) == 0.5
    assert temperature_schedule(configure(tau=1.0, tau_min=0.5, tau_rate=0.0).gradient, steps=1000)(999) == 1.0


def test_the_weight_of_the_kl_is_one_without_a_warmup():
    assert [kl_weight_schedule(configure().objective)(step) for step in (0, 1000)] == [1.0, 1.0]


def test_grey_images_are_drawn_anew_and_binary_ones_are_not():
    rows, generator = torch.arange(40), torch.Generator().manual_seed(1)

    def costs(levels: int) -> set[float]:
        task = task_of(small_images(levels=levels))
        with torch.no_grad():
            # A decoder without weights: the cost depends on the image alone.
            task.model.decoder_out.weight.zero_()
            task.model.decoder_out.bias.copy_(torch.linspace(-1, 1, 16))
        return {round(task.loss(rows, 0, generator)[1]["cost"].item(), 4) for _ in range(5)}

    assert len(costs(16)) == 5
    assert len(costs(1)) == 1


@torch.no_grad()
def test_the_validation_is_the_bound_of_one_hard_sample_an_image():
    images = small_images(count=3000)
    task = task_of(images)
    model, measured = task.model, task.validate()
    # Its own binarization and its own samples, in blocks of 2000 images, from its own seed.
    x = fixed_binarization(images.valid, images.levels, VALID_SEED)
    generator = torch.Generator().manual_seed(VALID_SEED)
    q = model.posterior(x)
    codes = torch.cat([draw_codes(model.posterior(block), 1, generator)[0] for block in x.split(2000)])
    z = F.one_hot(codes, 4).float()
    assert measured["cost"] == pytest.approx(model.cost(z, x).mean().item(), rel=1e-5)
    assert measured["kl"] == pytest.approx(model.code.kl(q, model.prior()).sum(-1).mean().item(), rel=1e-5)
    assert measured["elbo"] == pytest.approx(-measured["cost"] - measured["kl"])
    assert measured == task.validate()


def test_the_loss_is_an_estimate_whose_mean_does_not_depend_on_hardness_at_low_temperature():
    soft, hard = task_of(tau=1e-3), task_of(tau=1e-3, hard=True)
    rows = torch.arange(40)

    def costs(task: VAETask) -> torch.Tensor:
        generator = torch.Generator().manual_seed(3)
        with torch.no_grad():
            return torch.stack([task.loss(rows, 0, generator)[1]["cost"] for _ in range(300)])

    assert_mean(costs(soft) - costs(hard), 0.0, resolution=0.05)


@pytest.mark.parametrize("baseline", ["none", "nvil"])
def test_a_sampled_kl_is_that_of_the_closed_form_on_average(baseline: str):
    losses = {}
    for kl in ("exact", "sampled"):
        task = task_of(estimator="Reinforce", baseline=baseline, kl=kl)
        task.model.estimator.eval()
        losses[kl] = torch.tensor([
            task.loss(torch.arange(task.examples), 0, torch.Generator().manual_seed(seed))[0].item()
            for seed in range(200)
        ])  # fmt: skip
    assert_mean(losses["sampled"] - losses["exact"], 0.0, resolution=2.0)


def test_where_the_signal_is_divided_the_kl_is_divided_too():
    """What an encoder learns from is in proportion to it, KL included; otherwise a code would soon say nothing."""

    def gradient(spread: float, **settings: str) -> torch.Tensor:
        task = task_of(estimator="Reinforce", baseline="nvil", **settings)
        task.model.estimator.eval()
        task.model.estimator.baseline.residuals.variance.fill_(spread**2)
        loss, _ = task.loss(torch.arange(task.examples), 0, torch.Generator().manual_seed(1))
        return torch.autograd.grad(loss, next(task.model.encoder.parameters()))[0]

    torch.testing.assert_close(100 * gradient(1000.0), gradient(10.0))
    kept = gradient(1000.0, kl="exact")
    assert (100 * kept - gradient(10.0, kl="exact")).norm() > 10 * gradient(10.0).norm()
