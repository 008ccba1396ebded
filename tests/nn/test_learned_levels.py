"""Few levels: what is rounded to what, with which gradient, and the integers in the end."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn.utils import parametrize

from drawgrad.nn import LearnedLevels


def test_rounds_to_the_nearest_of_its_levels() -> None:
    levels = LearnedLevels((3, 50), 3, dim=0, dtype=torch.float64)
    weight = torch.randn(3, 50, dtype=torch.float64)
    levels.fit(weight)
    for row, rounded, scale in zip(weight, levels(weight), levels.log_scale[0, :, 0].exp(), strict=True):
        grid = scale * torch.arange(-4, 4)
        torch.testing.assert_close(rounded, grid[(row[:, None] - grid).abs().argmin(1)])


def test_the_gradient_passes_rounding_but_not_the_ends() -> None:
    levels = LearnedLevels((4,), 2, dim=None, dtype=torch.float64)
    with torch.no_grad():
        levels.log_scale.zero_()
    weight = torch.tensor([-5.0, -0.7, 0.4, 3.0], dtype=torch.float64, requires_grad=True)
    values = levels(weight)
    assert values.tolist() == [-2.0, -1.0, 0.0, 1.0]
    of_weight, of_scale = torch.autograd.grad(values.sum(), [weight, levels.log_scale])
    assert of_weight.tolist() == [0.0, 1.0, 1.0, 0.0]
    # Of learned steps: what rounding adds inside, the end itself outside.
    assert of_scale.item() == pytest.approx(-2.0 + (-1 + 0.7) + (0 - 0.4) + 1.0)


def test_a_fit_is_better_than_the_range_of_the_weights() -> None:
    weight = torch.randn(1, 2000)
    fitted, whole = (LearnedLevels((1, 2000), 3) for _ in range(2))
    fitted.fit(weight)
    with torch.no_grad():
        whole.log_scale.fill_((weight.abs().max() / 4).log())
    off = [(levels(weight) - weight).square().mean().item() for levels in (fitted, whole)]
    assert off[0] < 0.6 * off[1]


def test_groups_choose_their_bits_and_pay_for_them() -> None:
    """The first group's weights are of two levels already; those of the other one are not."""
    weight = torch.stack([torch.tensor([-1.0, 0.0]).repeat(20), torch.linspace(-1, 1, 40)])
    levels = LearnedLevels((2, 40), (2, 8)).fit(weight)
    optimizer = torch.optim.Adam([levels.logits], 0.1)
    for step in range(150):
        off = (levels(weight, seed=step) - weight).square().sum()
        loss = off + 0.002 * levels.expected_size()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    frozen = levels.freeze(weight)
    assert frozen.bits.flatten().tolist() == [2, 8]
    assert frozen.size == 40 * (2 + 8) + 2 * (32 + 1)
    torch.testing.assert_close(frozen.dequantize(), levels.eval()(weight))
    assert levels.expected_size().item() == pytest.approx(40 * 10, rel=0.2)


@pytest.mark.parametrize(("bits", "dtype"), [(2, torch.int8), (8, torch.int8), (9, torch.int16), (16, torch.int16)])
def test_integers_are_what_was_computed_with(bits: int, dtype: torch.dtype) -> None:
    weight = torch.randn(4, 6, 3, dtype=torch.float64)
    levels = LearnedLevels((4, 6, 3), bits, dim=1, dtype=torch.float64).fit(weight)
    frozen = levels.freeze(weight)
    assert frozen.integers.dtype == dtype
    assert frozen.scale.shape == (1, 6, 1)
    assert frozen.size == 72 * bits + 6 * 32
    torch.testing.assert_close(frozen.dequantize(), levels(weight).detach())


def test_is_a_parametrization_of_a_layer() -> None:
    layer = nn.Linear(8, 3)
    before = layer.weight.detach().clone()
    parametrize.register_parametrization(layer, "weight", LearnedLevels((3, 8), 2).fit(before))
    layer(torch.randn(5, 8)).square().sum().backward()
    assert layer.parametrizations.weight.original.grad.abs().sum() > 0
    assert all(len(row.unique()) <= 4 for row in layer.weight)
    assert torch.equal(layer.parametrizations.weight.original, before)


def test_refuses_what_makes_no_sense() -> None:
    with pytest.raises(ValueError, match="bits must be at least 2"):
        LearnedLevels((3,), 1)
    with pytest.raises(ValueError, match="bits must be at least 2"):
        LearnedLevels((3,), ())
    with pytest.raises(ValueError, match="bits must be at most 16"):
        LearnedLevels((3,), (4, 32))
    with pytest.raises(ValueError, match="dim must be a dimension"):
        LearnedLevels((3,), 4, dim=1)
    with pytest.raises(ValueError, match=r"weight must have the shape \(3,\)"):
        LearnedLevels((3,), 4)(torch.ones(4))
