"""Compiled estimators: generated code, no recompilation over a schedule, the same numbers; and torch.func."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor
from torch._dynamo.utils import counters
from torch.distributions import OneHotCategorical

from drawgrad.distributions import RelaxedOneHotCategorical, RelaxedOneHotCategoricalStraightThrough
from drawgrad.estimators import ESTIMATORS, Estimator, ReinMax, Relax, STGumbelSoftmax

TRANSFORMED = [cls for cls in ESTIMATORS.values() if cls().obstacle(OneHotCategorical(logits=torch.zeros(3))) is None]
WEIGHTS = torch.linspace(-1, 1, 12)


def step(estimator: Estimator, logits: Tensor, seed: int | Tensor = 3) -> Tensor:
    q = OneHotCategorical(logits=logits, validate_args=False)
    return estimator(lambda z: torch.tanh(z.flatten(-2) @ WEIGHTS) ** 2, q, seed=seed)


def with_gradient(function: Callable[[Tensor], Tensor]) -> tuple[Tensor, Tensor]:
    logits = torch.linspace(-1, 2, 60).reshape(5, 3, 4).requires_grad_()
    loss = function(logits)
    return loss.detach(), torch.autograd.grad(loss.sum(), logits)[0]


@pytest.fixture(autouse=True)
def _fresh_compiler() -> None:
    torch.compiler.reset()
    counters.clear()


def test_generated_code_agrees() -> None:
    compiled = torch.compile(step, fullgraph=True)
    estimator, seed = ReinMax(tau=1.1, samples=2), torch.tensor(7)
    found = with_gradient(lambda x: compiled(estimator, x, seed))
    torch.testing.assert_close(found, with_gradient(lambda x: step(estimator, x, seed)))


@pytest.mark.parametrize("backend", ["aot_eager", "inductor"])
def test_estimators_of_one_graph_draw_for_themselves(backend: str) -> None:
    def steps(x: Tensor) -> Tensor:
        q = OneHotCategorical(logits=x, validate_args=False)
        drawn = RelaxedOneHotCategoricalStraightThrough(torch.tensor(0.5), logits=x, validate_args=False)
        relaxed = RelaxedOneHotCategorical(torch.tensor(0.5), logits=x, validate_args=False)
        losses = [make()(lambda z: torch.tanh(z @ WEIGHTS[:4]), q) for make in 2 * [ReinMax, STGumbelSoftmax]]
        return torch.stack([*losses, *(d.rsample() @ WEIGHTS[:4] for d in 2 * [drawn, relaxed])])

    results = []
    for function in (steps, torch.compile(steps, backend=backend, fullgraph=True)):
        torch.manual_seed(5)
        results.append((*with_gradient(function), torch.get_rng_state()))
    torch.testing.assert_close(*results)
    assert len(results[0][0].flatten(1).unique(dim=0)) == len(results[0][0])


@pytest.mark.parametrize("cls", [ReinMax, STGumbelSoftmax])
def test_a_schedule_does_not_compile_at_every_step(cls: type[ReinMax | STGumbelSoftmax]) -> None:
    compiled = torch.compile(lambda tau, x: step(cls(tau=tau), x), fullgraph=True, backend="aot_eager")
    for tau in (1.0, 0.9, 0.8, 0.7, 0.6):
        found = with_gradient(lambda x, tau=tau: compiled(tau, x))
        torch.testing.assert_close(found, with_gradient(lambda x, tau=tau: step(cls(tau=tau), x)))
    # Once for the first number, once for any number.
    assert counters["stats"]["unique_graphs"] == 2


@pytest.mark.parametrize("cls", TRANSFORMED)
def test_is_differentiated_by_torch_func(cls: type[Estimator]) -> None:
    logits = torch.linspace(-1, 2, 60).reshape(5, 3, 4)
    estimator = Relax(features=12) if cls is Relax else cls()
    found = torch.func.grad(lambda x: step(estimator, x).sum())(logits)
    torch.testing.assert_close(found, with_gradient(lambda x: step(estimator, x))[1])


def test_a_network_without_a_size_is_not_sized_by_torch_func() -> None:
    logits = torch.linspace(-1, 2, 60).reshape(5, 3, 4)
    with pytest.raises(ValueError, match=r"Relax cannot size its network inside .*say its size: Relax\(features=12\)"):
        torch.func.grad(lambda x: step(Relax(), x).sum())(logits)


def test_a_compiled_cost_is_recognised() -> None:
    """The look for a path from the cost to the sample goes through a compiled part."""
    decoder = torch.compile(lambda z: torch.tanh(z.flatten(-2) @ WEIGHTS) ** 2, backend="aot_eager")
    q = OneHotCategorical(logits=torch.zeros(5, 3, 4, requires_grad=True))
    assert ReinMax()(decoder, q, seed=3).requires_grad
