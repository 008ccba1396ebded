"""Training by an estimator's name: what fits, what is refused, and that the gradient is the estimator's."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from drawgrad.estimators import ESTIMATORS, Estimator, MovingAverage, NoBaseline, Nvil, Reinforce
from drawgrad.studies.runs.settings import SettingError
from drawgrad.studies.tasks.autoencoder.config import AutoencoderConfig, configure, refuse_idle
from drawgrad.studies.tasks.autoencoder.gradient import fitting, idle_settings, make_estimator
from drawgrad.studies.tasks.autoencoder.objective import VAETask
from drawgrad.studies.tasks.autoencoder.training import build_model
from drawgrad.variables import OneHot
from tests.statistics import assert_mean
from tests.studies.tasks.autoencoder.small import small_images

CONTINUOUS = {"LeaveOneOut", "Pathwise", "Reinforce", "Vimco"}
BINARY_ONLY = {"Arm", "DisArm"}


def config_of(name: str | None, latent: str = "categorical", **settings) -> AutoencoderConfig:
    sizes = {"variables": 2, "hidden": 8} | ({"categories": 3} if latent == "categorical" else {})
    return configure(estimator=name, latent=latent, **(sizes | settings))


def task_of(name: str | None, latent: str = "categorical", **settings) -> VAETask:
    images, config = small_images(levels=1), config_of(name, latent, **settings)
    return VAETask(build_model(config, images), images, config, steps=100)


class TestFitting:
    def test_is_what_takes_the_code(self):
        categorical = set(fitting(config_of(None)))
        assert categorical == {name for name, cls in ESTIMATORS.items() if issubclass(OneHot, cls.takes)} - {"Pathwise"}
        assert categorical >= {"Arsm", "CategoricalDisArm", "Exact", "GumbelSoftmax", "ReinMax", "Vimco"}
        assert not categorical & (BINARY_ONLY | {"Pathwise"})
        assert set(fitting(config_of(None, "gaussian"))) == CONTINUOUS
        binary = set(fitting(config_of(None, "bernoulli")))
        assert binary >= BINARY_ONLY | {"ReinMax", "Exact"}
        assert not binary & {"Arsm", "CategoricalDisArm", "Pathwise"}

    def test_is_no_enumeration_of_too_many_codes(self):
        assert "Exact" not in fitting(configure())

    @pytest.mark.parametrize("latent", ["categorical", "bernoulli", "gaussian"])
    def test_every_one_that_fits_trains(self, latent):
        for name in fitting(config_of(None, latent)):
            task = task_of(name, latent)
            loss, measured = task.loss(torch.arange(7), 0, torch.Generator().manual_seed(1))
            loss.backward()
            assert loss.shape == ()
            assert loss.isfinite()
            assert measured["elbo"] == pytest.approx(float(-(measured["cost"] + measured["kl"])), rel=1e-4)
            assert (task.model.encoder[0].weight.grad != 0).any(), name
            assert (task.model.decoder_out.weight.grad != 0).any(), name


class TestGradient:
    """Of the encoder, in the mean over many draws: that of enumeration."""

    def gradients(self, name: str, draws: int) -> torch.Tensor:
        task = task_of(name)
        weight, rows = task.model.encoder[2].weight, torch.arange(5)
        generator = torch.Generator().manual_seed(1)
        found = [torch.autograd.grad(task.loss(rows, 0, generator)[0], weight)[0] for _ in range(draws)]
        return torch.stack(found).double()

    @pytest.mark.parametrize("name", ["LeaveOneOut", "CategoricalDisArm", "Reinforce"])
    def test_is_that_of_enumeration(self, name):
        exact = self.gradients("Exact", 1)[0]
        assert_mean(self.gradients(name, 1500), exact, resolution=2.0)

    def test_a_biased_one_differs(self):
        exact = self.gradients("Exact", 1)[0]
        off = (self.gradients("GumbelSoftmax", 300).mean(0) - exact).norm()
        assert off > 0.02 * exact.norm()

    def test_the_value_is_the_bound(self):
        exact = task_of("Exact").loss(torch.arange(5), 0, torch.Generator())[0].detach()
        task, generator = task_of("ReinMax"), torch.Generator().manual_seed(1)
        with torch.no_grad():
            values = torch.stack([task.loss(torch.arange(5), 0, generator)[0] for _ in range(800)])
        assert_mean(values, exact, resolution=0.3)


class TestMultiSampleBound:
    def test_is_tighter_with_more_samples(self):
        def bound(samples: int) -> float:
            task, generator = task_of("Vimco", samples=samples), torch.Generator().manual_seed(1)
            with torch.no_grad():
                return float(torch.stack([task.loss(torch.arange(40), 0, generator)[0] for _ in range(100)]).mean())

        exact = float(task_of("Exact").loss(torch.arange(40), 0, torch.Generator())[0].detach())
        assert bound(50) < bound(2) < exact

    def test_of_samples_with_a_gradient_has_the_value_of_vimco_and_its_gradient_for_the_decoder(self):
        """Both draw hard samples: in the mean over draws they agree where no gradient goes through a sample."""

        def draws(name: str) -> torch.Tensor:
            task = task_of(name, samples=3, multi_sample_bound=name != "Vimco")
            generator, bias = torch.Generator().manual_seed(len(name)), task.model.decoder_out.bias
            losses = [task.loss(torch.arange(5), 0, generator)[0] for _ in range(300)]
            rows = [torch.cat([loss[None], torch.autograd.grad(loss, bias)[0]]) for loss in losses]
            return torch.stack(rows).double()

        vimco = draws("Vimco")
        assert_mean(draws("ReinMax") - vimco, torch.zeros(vimco.shape[1], dtype=torch.float64), resolution=0.5)

    def test_of_normal_samples_has_the_gradient_of_the_score(self):
        """Pathwise and VIMCO estimate one gradient, of the encoder too, though by other means."""

        def draws(name: str, count: int) -> torch.Tensor:
            settings = {"latent": "gaussian", "samples": 3, "multi_sample_bound": name == "Pathwise"}
            task, generator = task_of(name, **settings), torch.Generator().manual_seed(2)
            bias = task.model.encoder[2].bias
            losses = (task.loss(torch.arange(5), 0, generator)[0] for _ in range(count))
            return torch.stack([torch.autograd.grad(loss, bias)[0] for loss in losses]).double()

        score = draws("Vimco", 600)
        assert_mean(score, draws("Pathwise", 600).mean(0), resolution=3.5)

    def test_of_relaxed_samples_is_that_of_hard_ones_where_it_is_cold(self):
        def loss(name: str) -> float:
            settings = {"samples": 5, "multi_sample_bound": True, "tau": 1e-4, "tau_min": 1e-4}
            task, generator = task_of(name, **settings), torch.Generator().manual_seed(1)
            with torch.no_grad():
                return float(task.loss(torch.arange(40), 0, generator)[0])

        assert loss("GumbelSoftmax") == pytest.approx(loss("STGumbelSoftmax"), rel=1e-3)

    def test_weighs_its_kl(self):
        task = task_of("Vimco", kl_warmup=10)
        with torch.no_grad():
            loss, measured = task.loss(torch.arange(40), 0, torch.Generator().manual_seed(1))
        assert loss == pytest.approx(float(measured["cost"]))


class TestMaking:
    def test_takes_the_temperature_of_the_schedule(self):
        task = task_of("STGumbelSoftmax", tau=2.0, tau_min=0.5)
        assert make_estimator(config_of("STGumbelSoftmax", tau=2.0)).tau == 2.0
        assert task.settings(0)["tau"] == 2.0
        assert "tau" not in task_of("StraightThrough").settings(0)
        assert "tau" not in task_of("Rebar").settings(0)

    def test_is_the_one_that_the_settings_imply(self):
        names = {(None, "categorical", False): "GumbelSoftmax", (None, "bernoulli", True): "STGumbelSoftmax",
                 (None, "gaussian", False): "Pathwise", ("ReinMax", "categorical", False): "ReinMax"}  # fmt: skip
        for (given, latent, hard), name in names.items():
            assert type(make_estimator(config_of(given, latent, hard=hard))).__name__ == name

    @pytest.mark.parametrize(
        ("baseline", "kind"),
        [(None, MovingAverage), ("none", NoBaseline), ("moving-average", MovingAverage), ("nvil", Nvil)],
    )
    def test_takes_a_baseline(self, baseline, kind):
        estimator = make_estimator(config_of("Reinforce", baseline=baseline))
        assert isinstance(estimator, Reinforce)
        assert isinstance(estimator.baseline, kind)

    def test_the_network_of_nvil_sees_the_image(self):
        for latent in ("categorical", "gaussian"):
            task = task_of("Reinforce", latent, baseline="nvil")
            loss, _ = task.loss(torch.arange(7), 0, torch.Generator().manual_seed(1))
            loss.backward()
            network = task.model.estimator.baseline.network
            assert network[0].weight.shape[1] == 16
            assert (network[0].weight.grad != 0).any()

    @pytest.mark.parametrize("name", ["Rebar", "Relax", "Reinforce"])
    def test_what_learns_is_a_part_of_the_model(self, name):
        task = task_of(name)
        state = [key for key in task.model.state_dict() if key.startswith("estimator.")]
        assert state
        learned = [p for key, p in task.model.named_parameters() if key.startswith("estimator.")]
        assert bool(learned) == (name != "Reinforce")

    def test_networks_start_from_the_seed_and_leave_the_global_generator_alone(self):
        before = torch.get_rng_state()
        first, again = (_weights(make_estimator(config_of("Relax", seed=3))) for _ in range(2))
        nvil = [_weights(make_estimator(config_of("Reinforce", baseline="nvil", seed=seed), 16)) for seed in (3, 3, 4)]
        assert torch.equal(torch.get_rng_state(), before)
        assert torch.equal(first, again)
        assert torch.equal(nvil[0], nvil[1])
        assert not torch.equal(nvil[0], nvil[2])


def _weights(estimator: Estimator) -> torch.Tensor:
    assert isinstance(estimator, nn.Module)
    return torch.cat([parameter.detach().flatten() for parameter in estimator.parameters()])


class TestRefusals:
    @pytest.mark.parametrize(
        ("settings", "setting", "message"),
        [
            ({"estimator": "Reinmax"}, "estimator", "Reinmax is not known; did you mean ReinMax?"),
            ({"estimator": "exact"}, "estimator", "exact is not known; did you mean Exact?"),
            ({"estimator": "Wonder"}, "estimator", "Wonder is not known; those that fit this run are Arsm"),
            ({"estimator": "DisArm"}, "estimator", "DisArm does not take a categorical code; those that fit"),
            ({"estimator": "Exact", "variables": 20}, "estimator", "Exact would enumerate 3^20 codes, more than 65536"),
            (
                {"estimator": "ReinMax", "latent": "gaussian"},
                "estimator",
                "ReinMax does not take a gaussian code; those that fit this run are LeaveOneOut, Pathwise, ",
            ),
            ({"estimator": "LeaveOneOut", "samples": 1}, "samples", "does not fit LeaveOneOut: samples must be at"),
            ({"estimator": "Exact", "samples": 3}, "samples", "does not fit Exact: "),
            ({"samples": 3}, "samples", "has no part in a run without --estimator"),
            ({"baseline": "nvil"}, "baseline", "has no part in a run without --estimator"),
            (
                {"latent": "gaussian", "hard": True},
                "hard",
                "in a run with --latent gaussian, only with categorical or bernoulli",
            ),
            (
                {"latent": "gaussian", "tau": 1.0},
                "tau",
                "in a run with --latent gaussian, only with categorical or bernoulli",
            ),
            ({"latent": "bernoulli", "categories": 5}, "categories", "--latent bernoulli, only with categorical"),
            ({"momentum": 0.5}, "momentum", "in a run with --optimizer adam, only with sgd"),
            ({"estimator": "ReinMax", "baseline": "nvil"}, "baseline", "takes no baseline, only Reinforce does"),
            ({"estimator": "ReinMax", "hard": True}, "hard", "ReinMax decides by itself where samples are hard"),
            ({"estimator": "Darn", "tau": 1.0}, "tau", "has no temperature that a schedule could set"),
            (
                {"estimator": "Vimco", "free_bits": 0.1},
                "free_bits",
                "in this run, whose KL is sampled, so that no variable has its own",
            ),
            (
                {"estimator": "Reinforce", "baseline": "nvil", "free_bits": 0.1},
                "free_bits",
                "in this run, whose KL is sampled, so that no variable has its own",
            ),
            ({"estimator": "ReinMax", "kl": "exact"}, "kl", "needs no such choice, only Reinforce does"),
            ({"kl": "sampled"}, "kl", "because GumbelSoftmax needs no such choice, only Reinforce does"),
            ({"kl": "sampled", "latent": "gaussian"}, "kl", "because Pathwise needs no such choice, only Reinforce"),
            ({"multi_sample_bound": True}, "multi_sample_bound", "GumbelSoftmax draws 1; give --estimator and --samp"),
            (
                {"estimator": "LeaveOneOut", "samples": 4, "multi_sample_bound": True},
                "multi_sample_bound",
                "but those of LeaveOneOut carry none; such ones that fit this run are Darn, DecoupledSTGumbelSoftmax",
            ),
            (
                {"estimator": "LeaveOneOut", "latent": "gaussian", "multi_sample_bound": True},
                "multi_sample_bound",
                "such ones that fit this run are Pathwise, and Vimco is of such a bound without it",
            ),
            (
                {"estimator": "Vimco", "samples": 4, "multi_sample_bound": True},
                "multi_sample_bound",
                "because Vimco is of such a bound in any case",
            ),
            (
                {"estimator": "ReinMax", "samples": 4, "multi_sample_bound": True, "free_bits": 0.1},
                "free_bits",
                "in this run, whose KL is sampled, so that no variable has its own",
            ),
        ],
    )
    def test_name_the_setting_and_what_fits(self, settings, setting, message):
        latent = settings.get("latent", "categorical")
        rest = {key: value for key, value in settings.items() if key not in ("latent", "estimator")}
        config = config_of(settings.get("estimator"), latent, **rest)
        with pytest.raises(SettingError) as caught:
            refuse_idle(idle_settings(config), set(settings))
        assert caught.value.setting == setting
        assert message in str(caught.value)

    @pytest.mark.parametrize(
        "settings",
        [
            {},
            {"hard": True, "tau": 1.0},
            {"estimator": "ReinMax", "tau": 1.0, "samples": 4},
            {"estimator": "ReinMax", "samples": 4, "multi_sample_bound": True},
            {"estimator": "Reinforce", "baseline": "none", "free_bits": 0.1},
            {"estimator": "Reinforce", "baseline": "nvil", "free_bits": 0.1, "kl": "exact"},
        ],
    )
    def test_let_pass_what_fits(self, settings):
        rest = {key: value for key, value in settings.items() if key != "estimator"}
        refuse_idle(idle_settings(config_of(settings.get("estimator"), **rest)), set(settings))


class TestMonitor:
    def test_looks_where_the_run_is_reported(self):
        task = task_of("ReinMax")
        loss, _ = task.loss(torch.arange(7), 49, torch.Generator().manual_seed(1))
        loss.backward()
        settings = task.settings(49)
        assert settings["monitor/perplexity"] > 1
        assert settings["monitor/gradient"] > 0
        assert "monitor/perplexity" not in task.settings(48)
