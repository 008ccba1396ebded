"""Mixers of operations: what runs, what it weighs, and the plain network in the end."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from drawgrad.nn import OperationMixer, discretize


class Counted(nn.Module):
    """Multiplies, and counts how often."""

    def __init__(self, factor: float) -> None:
        super().__init__()
        self.factor, self.calls = nn.Parameter(torch.tensor(factor)), 0

    def forward(self, x: Tensor) -> Tensor:
        self.calls += 1
        return x * self.factor


def mixer(k: int = 1, runs: Any = "chosen", logits: tuple[float, ...] = (0.0, 1.0, 2.0)) -> OperationMixer:
    made = OperationMixer([Counted(10.0**number) for number in range(3)], k, runs=runs, costs=[1.0, 2.0, 4.0])
    with torch.no_grad():
        made.logits.copy_(torch.tensor(logits))
    return made


def calls(made: OperationMixer) -> list[int]:
    return [operation.calls for operation in made.operations]  # type: ignore[misc]


def test_only_the_drawn_operation_runs() -> None:
    made = mixer()
    values = [made(torch.ones(()), seed=seed).item() for seed in range(40)]
    assert set(values) == {1.0, 10.0, 100.0}
    assert calls(made) == [values.count(10.0**number) for number in range(3)]
    assert made.eval()(torch.ones(())) == 100.0


def test_sets_are_drawn_without_repetition_and_averaged() -> None:
    made = mixer(2)
    assert {made(torch.ones(()), seed=seed).item() for seed in range(40)} == {5.5, 50.5, 55.0}
    assert sum(calls(made)) == 80
    assert made.chosen().tolist() == [1, 2]
    assert made.eval()(torch.ones(())) == 55.0


def test_the_gradient_of_what_runs_and_of_all() -> None:
    """Straight-through: the derivative of the softmax times what each operation made, or zero where it did not run."""
    x = torch.ones(())
    for runs in ("chosen", "all"):
        made = mixer(runs=runs)
        value = made(x, seed=3)
        value.backward()
        y = mixer().choice.current().surrogate(made.choice.among(made.logits.detach()), torch.tensor(3)).detach()
        made_by = torch.tensor([1.0, 10.0, 100.0])
        heard = made_by if runs == "all" else torch.where(y == 1, made_by, 0.0)
        logits = made.logits.detach().requires_grad_()
        drawn = made.choice(logits, seed=3)
        (expected,) = torch.autograd.grad((drawn * heard).sum(), logits)
        torch.testing.assert_close(made.logits.grad, expected)


def test_the_expectation_is_that_of_the_probabilities() -> None:
    made = mixer(runs="expectation")
    p = made.logits.softmax(0)
    expected = (p * torch.tensor([1.0, 10.0, 100.0])).sum()
    torch.testing.assert_close(made(torch.ones(())), expected)
    torch.testing.assert_close(made.eval()(torch.ones(())), expected)


def test_the_cost_is_what_is_expected_of_a_draw() -> None:
    made = mixer()
    torch.testing.assert_close(made.expected_cost(), (made.logits.softmax(0) * torch.tensor([1.0, 2.0, 4.0])).sum())
    # Of two out of three alike, each is drawn in two of three cases.
    torch.testing.assert_close(mixer(2, logits=(0.0, 0.0, 0.0)).expected_cost().detach(), torch.tensor(14 / 3))
    made.expected_cost().backward()
    assert made.logits.grad is not None
    assert made.logits.grad[2] > 0 > made.logits.grad[0]


def test_a_graph_holds_all_operations_with_the_gradients_of_the_drawn_one() -> None:
    torch.compiler.reset()
    operations = [nn.Linear(4, 4) for _ in range(3)]
    made = OperationMixer(operations)
    compiled = torch.compile(made, fullgraph=True, backend="eager")
    x = torch.randn(5, 4)
    found = []
    for call in (made, compiled):
        made.zero_grad()
        y = call(x, seed=1)
        y.square().sum().backward()
        gradients = [p.grad if p.grad is not None else torch.zeros_like(p) for p in made.parameters()]
        found.append([y.detach(), *(g.clone() for g in gradients)])
    torch.testing.assert_close(*found)


def test_discretize_returns_the_plain_network() -> None:
    inner = nn.Sequential(nn.Linear(4, 4), OperationMixer([nn.ReLU(), nn.Tanh()]))
    last = OperationMixer([nn.ReLU(), nn.Tanh(), nn.ELU()], 2)
    network = nn.Sequential(OperationMixer([nn.Linear(4, 4), inner]), last)
    with torch.no_grad():
        for part, logits in ((network[0], (0.0, 1.0)), (inner[1], (0.0, 1.0)), (last, (1.0, 0.0, 1.0))):
            part.logits.copy_(torch.tensor(logits))
    plain = discretize(network)
    x = torch.randn(3, 4)
    torch.testing.assert_close(plain(x), network.eval()(x))
    assert not any(isinstance(part, OperationMixer) for part in plain.modules())
    assert any(isinstance(part, OperationMixer) for part in network.modules())
    assert isinstance(discretize(mixer()), Counted)


def test_refuses_what_makes_no_sense() -> None:
    with pytest.raises(ValueError, match="the number of operations must be at least 1"):
        OperationMixer([])
    with pytest.raises(ValueError, match="k must be at most the number of operations, 1"):
        OperationMixer([nn.ReLU()], 2)
    with pytest.raises(ValueError, match="runs must be"):
        OperationMixer([nn.ReLU()], runs="some")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="costs must be one for each of 1"):
        OperationMixer([nn.ReLU()], costs=[1.0, 2.0])
    with pytest.raises(ValueError, match="costs were not given"):
        OperationMixer([nn.ReLU()]).expected_cost()
    with pytest.raises(ValueError, match="must hold an OperationMixer"):
        discretize(nn.ReLU())
