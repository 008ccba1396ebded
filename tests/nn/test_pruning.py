"""Pruned networks are smaller and compute the same."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from drawgrad.nn import HardConcreteGate, prune
from drawgrad.nn.pruning import Scale, Select

CLOSED, HALF, OPEN = -9.0, 0.3, 9.0


def gate(*shape: int, group: tuple[int, ...] = (), closed: int = 1) -> HardConcreteGate:
    """A gate of which every third is closed, every third half open, every third open; or all of them closed."""
    made = HardConcreteGate(shape, group=group, dtype=torch.float64)
    values = torch.tensor([CLOSED, HALF, OPEN]).repeat(made.logits.numel())[: made.logits.numel()]
    with torch.no_grad():
        made.logits.copy_(values.reshape(made.logits.shape) if closed == 1 else torch.tensor(CLOSED))
    return made


def linear(inputs: int, outputs: int, bias: bool = True) -> nn.Linear:
    return nn.Linear(inputs, outputs, bias, dtype=torch.float64)


def conv(inputs: int, outputs: int, groups: int = 1) -> nn.Conv2d:
    return nn.Conv2d(inputs, outputs, 3, padding=1, groups=groups, dtype=torch.float64)


def norm(layer: nn.Module) -> nn.Module:
    """With statistics of its own for each unit."""
    for name, tensor in [*layer.named_parameters(), *layer.named_buffers()]:
        if tensor.is_floating_point():
            tensor.data.uniform_(0.5, 1.5 if "var" in name else 1.0)
    return layer.double()


def numbers(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


IMAGE, ROW = (2, 3, 8, 8), (5, 6)
CASES: dict[str, tuple[nn.Sequential, tuple[int, ...], int]] = {
    "after the function": (
        nn.Sequential(linear(6, 9), nn.ReLU(), gate(9), linear(9, 4), nn.ReLU(), gate(4), linear(4, 2)),
        ROW,
        6 * 6 + 6 + 6 * 2 + 2 + 2 * 2 + 2,
    ),
    "before the function": (nn.Sequential(linear(6, 9), gate(9), nn.GELU(), linear(9, 4)), ROW, 6 * 6 + 6 + 6 * 4 + 4),
    "between two functions": (
        nn.Sequential(linear(6, 9), nn.Tanh(), gate(9), nn.GELU(), linear(9, 4)), ROW, 6 * 6 + 6 + 6 * 4 + 4
    ),
    "a function that does not keep zero, before": (
        nn.Sequential(linear(6, 9), nn.Sigmoid(), gate(9), linear(9, 4)), ROW, 6 * 9 + 9 + 6 * 4 + 4
    ),
    "a function that does not keep zero, after": (
        nn.Sequential(linear(6, 9), gate(9), nn.Sigmoid(), linear(9, 4)), ROW, 6 * 9 + 9 + 9 * 4 + 4
    ),
    "inputs": (nn.Sequential(gate(6), linear(6, 4, bias=False)), ROW, 4 * 4),
    "outputs": (nn.Sequential(linear(6, 9), gate(9)), ROW, 6 * 9 + 9),
    "a norm": (
        nn.Sequential(linear(6, 9), norm(nn.BatchNorm1d(9)), nn.ReLU(), gate(9), linear(9, 4)),
        ROW,
        6 * 6 + 6 + 2 * 6 + 6 * 4 + 4,
    ),
    "a norm after the gate": (
        nn.Sequential(linear(6, 9), gate(9), norm(nn.BatchNorm1d(9)), linear(9, 4)), ROW, 54 + 9 + 18 + 36 + 4
    ),
    "channels": (
        nn.Sequential(
            conv(3, 6), norm(nn.BatchNorm2d(6)), nn.ReLU(), gate(6, 1, 1), nn.MaxPool2d(2), conv(6, 3),
            gate(3, 4, 4, group=(1, 2)), nn.ReLU(), nn.Flatten(), linear(48, 2),
        ),
        IMAGE,
        27 * 4 + 4 + 8 + 9 * 4 * 2 + 2 + 32 * 2 + 2,
    ),
    "channels of groups": (
        nn.Sequential(conv(3, 6, groups=3), gate(6, 1, 1), conv(6, 2)), IMAGE, 9 * 6 + 6 + 9 * 4 * 2 + 2
    ),
    "into groups": (nn.Sequential(conv(3, 6), gate(6, 1, 1), conv(6, 6, groups=3)), IMAGE, 27 * 6 + 6 + 9 * 12 + 6),
    "each position by itself": (
        nn.Sequential(conv(3, 6), gate(6, 8, 8), nn.Flatten(), linear(384, 2)), IMAGE, 27 * 6 + 6 + 768 + 2
    ),
    "flat positions": (
        nn.Sequential(conv(3, 6), nn.Flatten(), gate(384), linear(384, 2)), IMAGE, 27 * 6 + 6 + 256 * 2 + 2
    ),
    "columns of an image": (nn.Sequential(gate(8), nn.Flatten(), linear(192, 2)), IMAGE, 192 * 2 + 2),
    "a pool along the units": (
        nn.Sequential(linear(8, 6), gate(6), nn.MaxPool1d(2), linear(3, 2)), (2, 3, 8), 8 * 6 + 6 + 3 * 2 + 2
    ),
    "two gates": (
        nn.Sequential(linear(6, 9), gate(9), nn.ReLU(), gate(9), linear(9, 4)), ROW, 6 * 6 + 6 + 6 * 4 + 4
    ),
    "nested": (
        nn.Sequential(nn.Sequential(linear(6, 9), nn.ReLU()), nn.Sequential(gate(9), nn.Sequential(linear(9, 4)))),
        ROW,
        6 * 6 + 6 + 6 * 4 + 4,
    ),
    "all closed": (
        nn.Sequential(linear(6, 9), nn.ReLU(), gate(9, closed=9), linear(9, 4)), ROW, 6 + 1 + 4 + 4
    ),
    "one gate for all": (nn.Sequential(linear(6, 9), gate(), linear(9, 4)), ROW, 6 * 9 + 9 + 9 * 4 + 4),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_outputs_stay_and_units_go(case: str) -> None:
    network, shape, expected = CASES[case]
    x = torch.randn(shape, dtype=torch.float64)
    before = numbers(network)
    smaller = prune(network, example=x)
    torch.testing.assert_close(smaller(x), network.eval()(x), rtol=1e-12, atol=1e-12)
    assert numbers(smaller) == expected
    assert numbers(network) == before, "the network itself has changed"
    assert not any(isinstance(part, HardConcreteGate) for part in smaller.modules())


def test_gates_are_inside_other_modules_too() -> None:
    class Residual(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.body = nn.Sequential(linear(6, 9), nn.ReLU(), gate(9), linear(9, 6))

        def forward(self, x: Tensor) -> Tensor:
            return x + self.body(x)

    network = nn.Sequential(Residual(), Residual())
    x = torch.randn(ROW, dtype=torch.float64)
    smaller = prune(network, example=x)
    torch.testing.assert_close(smaller(x), network.eval()(x), rtol=1e-12, atol=1e-12)
    assert numbers(smaller) == 2 * (6 * 6 + 6 + 6 * 6 + 6)


def test_layers_that_are_used_twice_are_not_cut() -> None:
    twice = linear(6, 6)
    network = nn.Sequential(twice, gate(6), nn.ReLU(), twice)
    x = torch.randn(ROW, dtype=torch.float64)
    torch.testing.assert_close(prune(network)(x), network.eval()(x))


def test_a_tied_weight_stays_as_it_is() -> None:
    network = nn.Sequential(linear(6, 6), nn.ReLU(), gate(6), linear(6, 6))
    network[3].weight = network[0].weight
    x = torch.randn(ROW, dtype=torch.float64)
    torch.testing.assert_close(prune(network)(x), network.eval()(x))


def test_what_is_left_of_gates_is_in_the_state() -> None:
    smaller = prune(nn.Sequential(gate(6), linear(6, 6), nn.Softmax(-1), gate(6)))
    assert [type(layer) for layer in smaller] == [Select, nn.Linear, nn.Softmax, Scale]
    assert set(smaller.state_dict()) == {"0.index", "1.weight", "1.bias", "3.factor"}
    assert "4 entries, dim=-1" in repr(smaller)


def test_half_precision_stays() -> None:
    network = nn.Sequential(linear(6, 9), nn.ReLU(), gate(9), linear(9, 4)).bfloat16()
    smaller = prune(network, example=torch.randn(ROW).bfloat16())
    assert {parameter.dtype for parameter in smaller.parameters()} == {torch.bfloat16}


class TestRefuses:
    def test_a_network_without_gates(self) -> None:
        with pytest.raises(ValueError, match="must hold a HardConcreteGate"):
            prune(nn.Sequential(linear(3, 3)))

    def test_gates_outside_of_sequences(self) -> None:
        class Own(nn.Module):
            def __init__(self) -> None:
                super().__init__()
                self.gate = gate(6)

        with pytest.raises(ValueError, match="but gate does not"):
            prune(Own())

    def test_sequences_that_do_something_else(self) -> None:
        class Twice(nn.Sequential):
            def forward(self, x: Tensor) -> Tensor:
                return super().forward(super().forward(x))

        with pytest.raises(ValueError, match=r"must stand in nn\.Sequential"):
            prune(Twice(linear(6, 6), gate(6), linear(6, 6)))

    def test_other_outputs(self) -> None:
        # A flattened dimension in front of the channels: nothing in the modules tells.
        network = nn.Sequential(gate(6, 1), nn.Flatten(), linear(36, 2))
        with pytest.raises(RuntimeError, match="are off by"):
            prune(network, example=torch.randn(2, 3, 6, 2, dtype=torch.float64))
