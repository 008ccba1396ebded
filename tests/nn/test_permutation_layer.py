"""Learned orders: hard in evaluation, doubly stochastic in training, and found again from what they did."""

from __future__ import annotations

import pytest
import torch

from drawgrad.functional import fold_seed
from drawgrad.nn import PermutationLayer, set_temperature


def test_training_multiplies_with_a_doubly_stochastic_matrix() -> None:
    layer = PermutationLayer(5, dtype=torch.float64)
    matrix = layer.matrix(seed=1).detach()
    torch.testing.assert_close(matrix.sum(0), torch.ones(5, dtype=torch.float64), atol=1e-5, rtol=0)
    x = torch.randn(3, 5, dtype=torch.float64)
    torch.testing.assert_close(layer(x, seed=1), x @ matrix.T)
    hard = PermutationLayer(5, hard=True)
    assert torch.equal(hard.matrix(seed=1).detach().sort(1)[0][:, -1], torch.ones(5))


def test_evaluation_permutes_along_its_dimension() -> None:
    layer = PermutationLayer(4, dim=1)
    torch.nn.init.normal_(layer.scores)
    x = torch.randn(2, 4, 3)
    assert torch.equal(layer.eval()(x), x[:, layer.permutation()])
    assert sorted(layer.order.tolist()) == [0, 1, 2, 3]
    # Training's matrix goes to the same order without noise, as the temperature falls.
    with torch.no_grad():
        layer.scores.mul_(20)
    cold = PermutationLayer(4, dim=1, tau=0.5, scale=0.0)
    cold.scores = layer.scores
    torch.testing.assert_close(cold(x), layer(x), atol=0.05, rtol=0)


def test_finds_the_order_that_was_applied() -> None:
    order = torch.randperm(6)
    x = torch.randn(200, 6)
    layer = PermutationLayer(6, scale=0.5)
    optimizer = torch.optim.Adam(layer.parameters(), 0.2)
    for step in range(60):
        set_temperature(layer, max(0.2, 0.96**step))
        loss = (layer(x, seed=fold_seed(0, step)) - x[:, order]).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert torch.equal(layer.eval()(x), x[:, order])


def test_refuses_what_makes_no_sense() -> None:
    with pytest.raises(ValueError, match="n must be at least 1"):
        PermutationLayer(0)
    with pytest.raises(ValueError, match="scale must be finite and not negative"):
        PermutationLayer(3, scale=-1.0)
    with pytest.raises(ValueError, match="x must have 3 entries along dimension -1"):
        PermutationLayer(3)(torch.ones(2, 4))
