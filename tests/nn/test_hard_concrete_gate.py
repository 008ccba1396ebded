"""Gates: what they multiply with, how many are open, and that closing them is learned."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from drawgrad.nn import HardConcreteGate
from tests.statistics import assert_mean


def test_training_multiplies_with_draws_of_its_law() -> None:
    gate = HardConcreteGate((3,), dtype=torch.float64)
    with torch.no_grad():
        gate.logits.copy_(torch.tensor([-1.0, 0.0, 2.0]))
    x = torch.tensor([1.0, 2.0, 3.0], dtype=torch.float64)
    torch.testing.assert_close(gate(x, seed=3), x * gate.distribution().rsample(seed=3))
    draws = torch.stack([gate(x, seed=seed) for seed in range(4000)])
    # What counts as open in expected_l0 is what is not zero in the draws.
    assert_mean((draws != 0).double(), gate.distribution().expected_l0.detach(), resolution=0.06)
    torch.testing.assert_close(gate.expected_l0(), gate.distribution().expected_l0.sum())


def test_evaluation_is_the_same_every_time() -> None:
    gate = HardConcreteGate((50,), initial=0.2).eval()
    x = torch.randn(7, 50)
    assert torch.equal(gate(x), gate(x))
    torch.testing.assert_close(gate(x), x * gate.gates())
    assert torch.equal(gate.train()(x, seed=1), gate(x, seed=1))
    assert not torch.equal(gate(x, seed=1), gate(x, seed=2))


def test_groups_share_a_gate_and_count_all_their_entries() -> None:
    gate = HardConcreteGate((4, 3, 5), group=(1, -1), dtype=torch.float64)
    assert gate.logits.shape == (4, 1, 1)
    x = torch.ones(2, 4, 3, 5, dtype=torch.float64)
    found = gate(x)
    assert torch.equal(found, found[:1, :, :1, :1].expand_as(x))
    torch.testing.assert_close(gate.expected_l0(), 15 * gate.distribution().expected_l0.sum())
    assert gate.is_open().all()


def test_one_draw_for_the_batch_or_one_for_each_row() -> None:
    x = torch.ones(6, 40)
    together = HardConcreteGate((40,))(x, seed=0)
    assert torch.equal(together, together[:1].expand_as(together))
    apart = HardConcreteGate((40,), shared=False)(x, seed=0)
    assert not (apart == apart[:1]).all(1)[1:].any()


def test_expected_l0_closes_what_is_of_no_use() -> None:
    """Two inputs of ten tell the target: a penalty closes the others, and without it none closes."""
    x = torch.randn(256, 10)
    target = x[:, 3] - 2 * x[:, 7]

    def trained(penalty: float) -> list[bool]:
        gate = HardConcreteGate((10,))
        layer = nn.Linear(10, 1)
        optimizer = torch.optim.Adam([{"params": layer.parameters()}, {"params": gate.parameters(), "lr": 0.1}], 0.02)
        for step in range(300):
            loss = (layer(gate(x, seed=step))[:, 0] - target).square().mean() + penalty * gate.expected_l0()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        return gate.is_open().tolist()

    assert trained(0.1) == [place in (3, 7) for place in range(10)]
    assert all(trained(0.0))


def test_starts_as_far_open_as_it_is_told() -> None:
    for initial in (0.1, 0.5, 0.9):
        gate = HardConcreteGate((1000,), initial=initial)
        assert (gate.logits.sigmoid() - initial).abs().max() < 0.02
        assert len(gate.logits.unique()) > 500


class TestRefuses:
    @pytest.mark.parametrize("initial", [0.0, 1.0, -0.5])
    def test_a_start_that_is_no_probability(self, initial: float) -> None:
        with pytest.raises(ValueError, match="initial must be above 0"):
            HardConcreteGate((3,), initial=initial)

    def test_groups_that_are_no_dimensions(self) -> None:
        with pytest.raises(ValueError, match=r"give numbers from -2 to 1"):
            HardConcreteGate((3, 4), group=2)

    def test_an_interval_inside(self) -> None:
        with pytest.raises(ValueError, match="stretch must be"):
            HardConcreteGate((3,), stretch=(0.1, 1.1))

    @pytest.mark.parametrize("shape", [(), (4,), (3, 4)])
    def test_inputs_of_another_shape(self, shape: tuple[int, ...]) -> None:
        with pytest.raises(ValueError, match="x must end in the shape of the gates"):
            HardConcreteGate((5, 3))(torch.ones(shape))

    def test_whole_numbers(self) -> None:
        with pytest.raises(TypeError, match="x must be of a floating dtype"):
            HardConcreteGate((3,))(torch.ones(3, dtype=torch.long))
