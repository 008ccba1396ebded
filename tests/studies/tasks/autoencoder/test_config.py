"""Settings: what is filled in, what is refused, and how they survive a file."""

from __future__ import annotations

import pytest

from drawgrad.studies.tasks.autoencoder.config import ConfigError, TrainConfig, option_name


def test_what_is_not_given_suits_the_data_and_the_code():
    digits, mnist = TrainConfig(), TrainConfig(data="mnist", latent="bernoulli")
    assert (digits.lr, digits.tau, digits.epochs, digits.variables) == (0.003, 0.5, 400, 20)
    assert (mnist.lr, mnist.tau, mnist.epochs, mnist.variables) == (0.001, 1.0, 100, 200)
    assert (digits.kl_warmup, mnist.kl_warmup) == (0, 2000)


def test_what_is_given_stays():
    config = TrainConfig(epochs=3, lr=0.1, tau=2.0, tau_min=1.5, threads=2, variables=7)
    assert (config.epochs, config.lr, config.tau, config.tau_min, config.threads, config.variables) == (
        3,
        0.1,
        2.0,
        1.5,
        2,
        7,
    )


def test_a_usual_temperature_gives_way_to_one_that_is_given():
    assert TrainConfig(tau=0.1).tau_min == 0.1
    assert TrainConfig(tau_min=0.9).tau == 0.9


def test_settings_survive_their_file(tmp_path):
    config = TrainConfig(data="mnist", data_dir="some/where", hard=True, tau_rate=1e-4, seed=2**63 - 1)
    assert TrainConfig.from_json(config.to_json()) == config
    (tmp_path / "config.json").write_text(config.to_json())
    assert TrainConfig.read(tmp_path / "config.json") == config


@pytest.mark.parametrize("text", ["{", "[1]", '{"colour": 1}', "3"])
def test_a_file_that_holds_no_settings_is_named(text, tmp_path):
    path = tmp_path / "config.json"
    path.write_text(text)
    with pytest.raises(ConfigError, match=f"^{path}: the settings cannot be read .*; restore the file"):
        TrainConfig.read(path)


@pytest.mark.parametrize(
    ("setting", "value", "rule"),
    [
        ("tau", 0.0, "must be positive and finite, but it is 0.0; try 1.0"),
        ("tau", float("nan"), "must be positive and finite, but it is nan"),
        ("tau_min", -1.0, "must be positive and finite, but it is -1.0; try 0.5"),
        ("tau_rate", -1e-5, "must be at least 0.0, but it is -1e-05; try 0.0"),
        ("lr", float("inf"), "must be positive and finite, but it is inf; try 0.001"),
        ("momentum", 1.5, "must be at most 1.0, but it is 1.5; try 0.9"),
        ("epochs", 0, "must be at least 1, but it is 0; try 100"),
        ("batch_size", -100, "must be at least 1, but it is -100; try 100"),
        ("variables", 0, "must be at least 1, but it is 0; try 20"),
        ("categories", 1, "must be at least 2, but it is 1; try 10"),
        ("seed", 2**63, "must be at most 9223372036854775807, but it is 9223372036854775808; try 0"),
        ("free_bits", float("nan"), "must be at least 0.0, but it is nan; try 0.0"),
        ("data", "cifar", "must be one of digits, mnist, binarized-mnist, but it is 'cifar'; choose one"),
        ("latent", "poisson", "must be one of categorical, bernoulli, gaussian, but it is 'poisson'; choose one"),
        ("prior", "", "must be one of learned, uniform, but it is ''; choose one"),
        ("optimizer", "lion", "must be one of adam, sgd, but it is 'lion'; choose one"),
    ],
)
def test_a_setting_that_breaks_its_rule_is_named_with_its_cure(setting, value, rule):
    with pytest.raises(ConfigError) as error:
        TrainConfig(**{setting: value})
    assert error.value.setting == setting
    assert error.value.message.startswith(rule)
    assert str(error.value) == f"{setting} {error.value.message}"


def test_temperatures_in_the_wrong_order_are_both_named():
    with pytest.raises(
        ConfigError, match=r"^tau_min must not be above tau, but it is 0.6 and tau is 0.5; lower it or raise"
    ):
        TrainConfig(tau=0.5, tau_min=0.6)


def test_options_are_spelled_with_dashes():
    assert option_name("kl_warmup") == "--kl-warmup"


def test_an_estimator_of_hard_samples_keeps_its_temperature():
    def temperatures(**settings):
        config = TrainConfig(**settings)
        return config.tau, config.tau_min

    assert temperatures() == (0.5, 0.2)
    assert temperatures(estimator="GumbelSoftmax") == (0.5, 0.2)
    assert temperatures(estimator="ReinMax") == (1.0, 1.0)
    assert temperatures(estimator="ReinMax", tau=1.3) == (1.3, 1.3)
    assert temperatures(estimator="STGumbelSoftmax", tau_min=0.5) == (1.0, 0.5)
    assert temperatures(estimator="STGumbelSoftmax", tau_min=1.5) == (1.5, 1.5)
