"""Estimators that learn, brought to where they would be after some steps."""

from __future__ import annotations

import torch

from drawgrad.diagnostics.comparison.adaptation import adapted
from drawgrad.distributions import KSubset
from drawgrad.estimators import AdaptiveStep, Aimle, Cage, DoubleCV, Simple

Q = KSubset(torch.tensor([0.5, 0.0, -0.5, 1.0]), 2)


def cost(z: torch.Tensor) -> torch.Tensor:
    return (z @ torch.tensor([1.0, 2.0, -1.0, 0.5])) ** 2


def test_what_learns_from_the_backward_pass_does() -> None:
    estimator = Aimle(AdaptiveStep(alpha=0.0, rate=0.01))
    found = adapted(estimator, cost, Q, 50, torch.Generator().manual_seed(0))
    assert isinstance(found, Aimle)
    assert 0.05 < found.step.alpha.item() <= 0.5
    assert estimator.step.alpha.item() == 0
    assert not found.training
    assert adapted(Aimle(), cost, Q, 0, torch.Generator()).step.alpha.item() == 1


def test_what_learns_from_the_forward_pass_or_by_an_optimizer_does() -> None:
    q = torch.distributions.OneHotCategorical(logits=torch.tensor([[3.0, 0.0, 0.0]]))
    generator = torch.Generator().manual_seed(0)
    for estimator, name in ((Cage(decay=0.5), "certainty"), (DoubleCV(), "alpha")):
        found = adapted(estimator, lambda z: z[..., 0].sum(-1), q, 20, generator)
        assert getattr(found, name).item() > 0.1
        assert getattr(estimator, name).item() == 0


def test_what_has_no_state_is_itself() -> None:
    estimator = Simple()
    assert adapted(estimator, cost, Q, 5, torch.Generator()) is estimator
