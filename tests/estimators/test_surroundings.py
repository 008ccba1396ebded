"""Estimators in surroundings that change what a graph keeps: a checkpoint, and costs of inference mode."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from drawgrad.estimators import Estimator
from tests.estimators.cases import CASES
from tests.estimators.test_parts import FAMILIES, cost

WEIGHTS = torch.linspace(0.5, 1.5, 3, dtype=torch.float64)


def cases(chosen: Callable[[Estimator], bool] = lambda estimator: True) -> list[object]:
    """Every configuration of every estimator with the first kind of distribution that it takes."""
    found = []
    for label, make in CASES:
        for name, (family, shape) in FAMILIES.items():
            if chosen(make()) and make().obstacle(family(torch.zeros(1, *shape))) is None:
                found.append(pytest.param(make, name, id=f"{label}-{name}"))
                break
    return found


def prepared(make: Callable[[], Estimator], name: str) -> tuple[Estimator, Callable[[Tensor], Any], Tensor]:
    """The estimator, which learns nothing, and logits of a distribution that it takes."""
    family, shape = FAMILIES[name]
    logits = torch.randn(3, *shape, generator=torch.Generator().manual_seed(2)).requires_grad_()
    estimator = make()
    if isinstance(estimator, torch.nn.Module):
        estimator.eval()
    estimator(lambda z: cost(z, WEIGHTS), family(logits), seed=11)  # Lazy layers take their size from the first call.
    return estimator, family, logits


@pytest.mark.parametrize(("make", "name"), cases())
def test_a_checkpoint_finds_the_same_gradient(make: Callable[[], Estimator], name: str) -> None:
    estimator, family, logits = prepared(make, name)

    def loss(logits: Tensor) -> Tensor:
        return estimator(lambda z: cost(z, WEIGHTS), family(logits), seed=11).sum()

    (expected,) = torch.autograd.grad(loss(logits), logits)
    (found,) = torch.autograd.grad(checkpoint(loss, logits, use_reentrant=False), logits)
    torch.testing.assert_close(found, expected)


@pytest.mark.parametrize(("make", "name"), cases(lambda estimator: not estimator.needs_cost_gradient))
def test_costs_of_inference_mode_are_numbers_like_others(make: Callable[[], Estimator], name: str) -> None:
    estimator, family, logits = prepared(make, name)

    def gradient(mode: Callable[[], Any]) -> Tensor:
        def costs(z: Any) -> Tensor:
            with mode():
                return cost(z, WEIGHTS)

        return torch.autograd.grad(estimator(costs, family(logits), seed=11).sum(), logits)[0]

    torch.testing.assert_close(gradient(torch.inference_mode), gradient(torch.no_grad))
