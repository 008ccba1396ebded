"""What is filled in, and what is refused."""

from __future__ import annotations

import pytest

from drawgrad.studies.runs.settings import SettingError, values_of
from drawgrad.studies.tasks.autoencoder.config import configure, refuse_idle


def found(*names: str, **given) -> tuple:
    values = values_of(configure(**given))
    return tuple(values[name] for name in names)


def test_what_is_not_given_suits_the_data_and_the_code():
    names = ("lr", "tau", "epochs", "variables", "kl_warmup")
    assert found(*names) == (0.003, 0.5, 400, 20, 0)
    assert found(*names, data="mnist", latent="bernoulli") == (0.001, 1.0, 100, 200, 2000)


def test_what_is_given_stays():
    given = {"epochs": 3, "lr": 0.1, "tau": 2.0, "tau_min": 1.5, "threads": 2, "variables": 7, "kl_warmup": 5}
    assert found(*given, **given) == tuple(given.values())


def test_a_usual_temperature_gives_way_to_one_that_is_given():
    assert found("tau_min", tau=0.1) == (0.1,)
    assert found("tau", tau_min=0.9) == (0.9,)


def test_an_estimator_of_hard_samples_keeps_its_temperature():
    def temperatures(**given):
        return found("tau", "tau_min", **given)

    assert temperatures() == temperatures(hard=True) == (0.5, 0.2)
    assert temperatures(estimator="GumbelSoftmax") == (0.5, 0.2)
    assert temperatures(estimator="ReinMax") == (1.0, 1.0)
    assert temperatures(estimator="ReinMax", tau=1.3) == (1.3, 1.3)
    assert temperatures(estimator="STGumbelSoftmax", tau_min=0.5) == (1.0, 0.5)
    assert temperatures(estimator="STGumbelSoftmax", tau_min=1.5) == (1.5, 1.5)


@pytest.mark.parametrize(
    ("setting", "value", "rule"),
    [
        ("tau", 0.0, "must be at least 1e-06, but it is 0.0; try 1.0"),
        ("tau", 1e-45, "must be at least 1e-06, but it is 1e-45; try 1.0"),
        ("tau", 1e300, "must be at most 1000000.0, but it is 1e+300; try 1.0"),
        ("tau", float("nan"), "must be at least 1e-06, but it is nan"),
        ("tau_min", -1.0, "must be at least 1e-06, but it is -1.0; try 1.0"),
        ("tau_min", float("inf"), "must be at most 1000000.0, but it is inf; try 1.0"),
        ("tau_min", float("nan"), "must be at least 1e-06, but it is nan; try 1.0"),
        ("tau_rate", -1e-5, "must be at least 0.0, but it is -1e-05; try 0.0"),
        ("lr", float("inf"), "must be at most 1e+38, but it is inf; try 0.001"),
        ("lr", 0.0, "must be at least 1e-38, but it is 0.0; try 0.001"),
        ("momentum", 1.5, "must be at most 1.0, but it is 1.5; try 0.9"),
        ("epochs", 0, "must be at least 1, but it is 0; try 100"),
        ("epochs", 10**20, "must be at most 1000000000, but it is 100000000000000000000; try 100"),
        ("batch_size", -100, "must be at least 1, but it is -100; try 100"),
        ("variables", 0, "must be at least 1, but it is 0; try 20"),
        ("categories", 1, "must be at least 2, but it is 1; try 10"),
        ("hidden", 10**20, "must be at most 1000000, but it is 100000000000000000000; try 200"),
        ("samples", 0, "must be at least 1, but it is 0; try 1"),
        ("threads", 100_000, "must be at most 1024, but it is 100000; try 1"),
        ("test_samples", 10**20, "must be at most 10000000, but it is 100000000000000000000; try 1000"),
        ("seed", 2**63, "must be at most 9223372036854775807, but it is 9223372036854775808; try 0"),
        ("free_bits", float("nan"), "must be at least 0.0, but it is nan; try 0.0"),
        ("free_bits", 1e300, "must be at most 1000000.0, but it is 1e+300; try 0.0"),
        ("data", "cifar", "must be one of digits, mnist, binarized-mnist, but it is 'cifar'; choose one"),
        ("data", "minst", "must be one of digits, mnist, binarized-mnist, but it is 'minst'; did you mean mnist?"),
        ("latent", "poisson", "must be one of categorical, bernoulli, gaussian, but it is 'poisson'; choose one"),
        ("prior", "", "must be one of learned, uniform, but it is ''; choose one"),
        ("optimizer", "lion", "must be one of adam, sgd, but it is 'lion'; choose one"),
    ],
)
def test_a_setting_that_breaks_its_rule_is_named_with_its_cure(setting, value, rule):
    with pytest.raises(SettingError) as error:
        configure(**{setting: value})
    assert error.value.setting == setting
    assert error.value.message.startswith(rule)
    assert str(error.value) == f"{setting} {error.value.message}"


def test_temperatures_in_the_wrong_order_are_both_named():
    with pytest.raises(
        SettingError, match=r"^tau_min must not be above tau, but it is 0.6 and tau is 0.5; lower it or raise"
    ):
        configure(tau=0.5, tau_min=0.6)


def test_a_setting_without_a_part_is_refused_only_if_it_was_given():
    idle = {"momentum": "a run with --optimizer adam, only with sgd"}
    refuse_idle(idle, {"lr"})
    with pytest.raises(SettingError, match=r"^momentum has no part in a run with --optimizer adam, only with sgd;"):
        refuse_idle(idle, {"lr", "momentum"})
