"""Selectors of features: what passes, what is reported, and that the useful ones are found."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

from drawgrad.estimators import STGumbelSoftmax
from drawgrad.nn import FeatureSelector, set_temperature


def test_a_subset_passes_k_features_and_zeros() -> None:
    selector = FeatureSelector(7, 3)
    x = torch.rand(20, 7) + 1
    for seed in range(5):
        y = selector(x, seed=seed)
        kept = (y != 0).all(0)
        assert kept.sum() == 3
        assert torch.equal(y, torch.where(kept, x, 0.0))


def test_a_concrete_selector_passes_k_columns() -> None:
    selector = FeatureSelector(7, 3, kind="concrete", estimator=STGumbelSoftmax())
    x = torch.randn(20, 7)
    y = selector(x, seed=0)
    assert y.shape == (20, 3)
    assert all((column == x.T).all(1).any() for column in y.T)
    assert torch.equal(selector.eval()(x), x[:, selector.chosen()])


@pytest.mark.parametrize("kind", ["subset", "concrete"])
def test_finds_what_tells_the_target(kind: Any) -> None:
    x = torch.randn(300, 10)
    target = (x[:, 2] - x[:, 5]).detach()
    selector = FeatureSelector(10, 2, kind=kind)
    layer = nn.Linear(10 if kind == "subset" else 2, 1)
    groups = [
        {"params": layer.parameters(), "lr": 0.02},
        {"params": selector.parameters(), "lr": 0.03 if kind == "subset" else 0.1},
    ]
    optimizer = torch.optim.Adam(groups)
    for step in range(400):
        if kind == "concrete":
            set_temperature(selector, 3.0 * 0.99**step)
        loss = (layer(selector(x, seed=step))[:, 0] - target).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert sorted(selector.chosen().tolist()) == [2, 5]
    assert selector.probabilities()[[2, 5]].min() > 0.8


def test_probabilities_are_those_of_the_draws() -> None:
    subset = FeatureSelector(6, 2, dtype=torch.float64)
    torch.testing.assert_close(subset.probabilities().sum(), torch.tensor(2.0, dtype=torch.float64))
    concrete = FeatureSelector(2, 2, kind="concrete", dtype=torch.float64)
    nn.init.zeros_(concrete.logits)
    torch.testing.assert_close(concrete.probabilities(), torch.tensor([0.75, 0.75], dtype=torch.float64))


def test_refuses_what_makes_no_sense() -> None:
    with pytest.raises(ValueError, match="k must be at most features = 3"):
        FeatureSelector(3, 4)
    with pytest.raises(ValueError, match="kind must be 'subset' or 'concrete'"):
        FeatureSelector(3, 2, kind="both")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="x must have 3 features"):
        FeatureSelector(3, 2)(torch.ones(2, 4))
    with pytest.raises(TypeError, match="STGumbelSoftmax"):
        FeatureSelector(3, 2, estimator=STGumbelSoftmax())
