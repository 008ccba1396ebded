"""Small problems as cells of tables: tiny runs, the same for the same seed, and what they refuse."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from drawgrad.studies.exhibits.coin import contestants, train_coin
from drawgrad.studies.exhibits.polynomial import optimum
from drawgrad.studies.reproduction import TrainCoin, TrainPolynomial
from drawgrad.studies.runs.settings import SettingError

COIN = TrainCoin({"gradient": "DisARM", "target": 0.45, "steps": 300, "runs": 4, "lr": 0.01})
POLYNOMIAL = TrainPolynomial(
    {"gradient": "ReinMax", "power": 2.0, "steps": 20, "runs": 3, "batch": 4, "lr": 0.05}
)  # fmt: skip


def found(recipe, seed: int = 0) -> dict:
    return recipe.run(seed, Path(), lambda message: None)


def test_a_coin_finds_the_cheaper_side():
    result = found(COIN)
    assert 0.2 < result["value"] <= 1
    assert result["runs"] == 4
    assert result["error"] > 0
    assert found(COIN) == result
    assert found(COIN, 1) != result
    # A coin that has hardly moved has not.
    assert abs(found(COIN.lasting(1))["value"]) < 0.05


@pytest.mark.parametrize("name", ["REINFORCE", "REBAR", "DisARM"])
def test_a_coin_does_not_depend_on_those_that_are_trained_with_it(name):
    """Noise is a function of seed and row, and nothing else couples them."""
    few, many = (
        train_coin(contestants((1, runs))[name], [0.45], steps=60, runs=runs, every=60, seed=5)[0.45].probability.values
        for runs in (3, 11)
    )
    assert (few[-1] != 0.5).all()
    assert torch.allclose(few, many[:, :3], rtol=1e-4)
    assert not torch.allclose(few, many[:, 3:6], rtol=1e-4)


def test_polynomials_descend_to_the_optimum():
    result = found(POLYNOMIAL)
    assert optimum(2.0) < result["value"] < 0.2525
    assert found(POLYNOMIAL) == result
    assert POLYNOMIAL.lasting(7).config(0).steps == 7


def test_evaluations_are_counted():
    assert (COIN.evaluations(), COIN.changed(gradient="REINFORCE").evaluations()) == (2, 1)
    assert POLYNOMIAL.evaluations() == 4
    assert POLYNOMIAL.changed(gradient="exact gradient").evaluations() == 2


def test_no_data_are_needed(tmp_path):
    assert COIN.data is None
    COIN.check_data()


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"device": "cuda"}, "has no part in this table"),
        ({"gradient": "RELX"}, "RELX"),
        ({"runs": 1}, "1"),
        ({"tau": 1.0}, "there is no setting 'tau'"),
    ],
)
def test_a_mistake_is_refused(settings, said):
    with pytest.raises(SettingError, match=said):
        COIN.changed(**settings).config(0)
