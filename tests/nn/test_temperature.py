"""Temperatures of modules: set together, saved, learned."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from drawgrad.estimators import GumbelSoftmax, ReinMax, StraightThrough
from drawgrad.nn import Choice, Tempered, set_temperature


@pytest.fixture
def model() -> nn.Module:
    return nn.ModuleDict(
        {
            "plain": nn.Linear(2, 2),
            "first": Choice(),
            "learned": Choice(GumbelSoftmax(tau=0.5), learned=True),
            "without": Choice(StraightThrough()),
            "deep": nn.Sequential(nn.Sequential(Choice(ReinMax(tau=1.5)))),
        }
    )


def temperatures(model: nn.Module) -> list[float | None]:
    found = [module.temperature for module in model.modules() if isinstance(module, Tempered)]
    return [None if tau is None else round(tau.item(), 6) for tau in found]


def test_begins_where_the_estimator_is(model: nn.Module) -> None:
    assert temperatures(model) == [1.0, 0.5, None, 1.5]


def test_all_are_set_at_once_and_saved(model: nn.Module) -> None:
    set_temperature(model, 0.25)
    assert temperatures(model) == [0.25, 0.25, None, 0.25]
    state = model.state_dict()
    assert {name for name in state if "tau" in name} == {"first.tau", "learned.log_tau", "deep.0.0.tau"}
    set_temperature(model, 2.0)
    model.load_state_dict({name: value.clone() for name, value in state.items()})
    assert temperatures(model) == [2.0, 2.0, None, 2.0]  # the state is that of the module, and not a copy


def test_the_temperature_is_that_of_the_draw() -> None:
    logits, choice = torch.linspace(-1, 1, 5), Choice(GumbelSoftmax(tau=0.5))
    found = []
    for tau in (0.5, 0.1):
        set_temperature(choice, tau)
        found.append(choice(logits, seed=3))
        assert torch.equal(found[-1], GumbelSoftmax(tau=tau).surrogate(choice.among(logits), torch.tensor(3)))
    assert found[1].max() > found[0].max()


def test_a_learned_one_has_the_gradient_of_the_sample() -> None:
    choice, logits = (
        Choice(GumbelSoftmax(tau=0.7), learned=True, dtype=torch.float64),
        torch.linspace(-1, 1, 5).double(),
    )
    weights = torch.arange(5).double()

    def loss(log_tau: torch.Tensor) -> torch.Tensor:
        return torch.func.functional_call(choice, {"log_tau": log_tau}, (logits,), {"seed": 3}) @ weights

    assert torch.autograd.gradcheck(loss, choice.log_tau)


def test_may_be_set_between_forward_and_backward() -> None:
    results = []
    for later in (1.0, 0.1):
        choice, logits = Choice(ReinMax(tau=1.0)), torch.linspace(-1, 1, 5).requires_grad_()
        loss = choice(logits, seed=3) @ torch.arange(5.0)
        set_temperature(choice, later)
        loss.backward()
        results.append(logits.grad)
    torch.testing.assert_close(*results)


def test_refuses_what_is_no_temperature() -> None:
    with pytest.raises(ValueError, match="model must hold a module with a temperature, but Linear has none"):
        set_temperature(nn.Linear(2, 2), 0.5)
    for value in (0.0, -1.0, float("nan"), float("inf")):
        with pytest.raises(ValueError, match="value must be positive and finite"):
            set_temperature(Choice(), value)
    with pytest.raises(TypeError, match="value must be a number"):
        set_temperature(Choice(), "cold")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="Choice has no temperature to set"):
        Choice(StraightThrough()).set_temperature(1.0)
    with pytest.raises(ValueError, match="tau must be positive"):
        Tempered(0.0)
    with pytest.raises(ValueError, match="tau must be a number to be learned"):
        Tempered(None, learned=True)
