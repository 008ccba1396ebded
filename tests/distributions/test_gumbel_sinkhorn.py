"""Permutations with a gradient: their matrices, their seeds, and the estimator that goes through them."""

from __future__ import annotations

import pytest
import torch

from drawgrad.distributions import GumbelSinkhorn
from drawgrad.estimators import Pathwise, Reinforce
from drawgrad.functional import assignment, gumbel_noise, gumbel_sinkhorn

SCORES = torch.randn(2, 5, 5, generator=torch.Generator().manual_seed(3), dtype=torch.float64)


@pytest.mark.parametrize("hard", [False, True])
def test_samples_are_those_of_the_function(hard: bool) -> None:
    scores, temperature = SCORES.clone().requires_grad_(), torch.tensor(0.8, requires_grad=True)
    q = GumbelSinkhorn(temperature, scores, hard)
    P = q.rsample((3,), seed=1)
    assert torch.equal(P, gumbel_sinkhorn(SCORES.expand(3, 2, 5, 5), 0.8, hard, seed=1).detach()) or torch.allclose(
        P, gumbel_sinkhorn(SCORES.expand(3, 2, 5, 5), 0.8, hard, seed=1)
    )
    torch.testing.assert_close(P.sum(-1), torch.ones(3, 2, 5, dtype=torch.float64), atol=1e-5, rtol=0.0)
    grads = torch.autograd.grad((P * SCORES).sum(), (scores, temperature))
    assert all(bool(g.isfinite().all() and (g != 0).any()) for g in grads)
    assert not q.sample().requires_grad
    wide = q.expand((4, 2))
    assert (type(wide), wide.batch_shape, wide.hard) == (GumbelSinkhorn, (4, 2), hard)
    if hard:
        noise = gumbel_noise((3, 2, 5, 5), dtype=torch.float64, seed=1)
        assert torch.equal(P.detach(), assignment(SCORES + noise))


def test_estimators_go_through_samples_and_none_asks_for_a_density() -> None:
    scores = SCORES[0].clone().requires_grad_()
    q = GumbelSinkhorn(1.0, scores, hard=True)
    loss = Pathwise(samples=4)(lambda z: (z * SCORES[1]).sum((-1, -2)), q, seed=1)
    (found,) = torch.autograd.grad(loss, scores)
    assert bool((found != 0).any())
    with pytest.raises(TypeError, match="log_prob"):
        Reinforce()(lambda z: z.sum((-1, -2)), q)
    with pytest.raises(NotImplementedError):
        q.log_prob(torch.eye(5))


def test_mistakes_are_refused() -> None:
    with pytest.raises(ValueError, match="temperature must be positive and finite"):
        GumbelSinkhorn(0.0, SCORES)
    with pytest.raises(ValueError, match="scores must be matrices"):
        GumbelSinkhorn(1.0, torch.zeros(3))
    with pytest.raises(TypeError, match="hard must be True or False"):
        GumbelSinkhorn(1.0, SCORES, hard=1)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="scores must be square"):
        GumbelSinkhorn(1.0, torch.zeros(2, 3), hard=True).rsample()
