"""MuProp: what its Taylor expansion takes away, exactly and in variance."""

from __future__ import annotations

import pytest
import torch

from drawgrad.estimators import MuProp
from tests.estimators.problems import GRID, Problem
from tests.estimators.scores import PlainScore


@pytest.mark.parametrize("problem", [problem for problem in GRID if problem.form == "linear"], ids=lambda p: p.name)
def test_is_exact_for_a_linear_cost_whatever_is_drawn(problem: Problem) -> None:
    found = problem.estimates(MuProp(), 20)
    torch.testing.assert_close(found.logits, problem.exact().logits.expand_as(found.logits))


@pytest.mark.parametrize("problem", [Problem("quadratic", 3, 2), Problem("neural", 2, 3, binary=True)], ids=str)
def test_has_less_variance_than_the_score_function(problem: Problem) -> None:
    exact = problem.exact().logits
    plain = ((problem.estimates(PlainScore(), 60_000).logits - exact) ** 2).flatten(1).sum(-1)
    mu_prop = ((problem.estimates(MuProp(), 60_000).logits - exact) ** 2).flatten(1).sum(-1)
    gain = plain - mu_prop
    # Five standard errors: a false alarm in 3 of 10 million.
    assert gain.mean() > 5 * gain.std() / len(gain) ** 0.5


def test_the_evaluation_at_the_mean_leaves_the_cost_s_parameters_alone() -> None:
    weight = torch.ones((), requires_grad=True)
    seen = []

    def cost(z: torch.Tensor) -> torch.Tensor:
        seen.append(z.detach())
        return (weight * z[..., 0] - 0.3) ** 2

    q = torch.distributions.OneHotCategorical(logits=torch.zeros(2, requires_grad=True))
    loss = MuProp(samples=3)(cost, q, seed=0)
    assert weight.grad is None
    hard, mean = seen
    assert hard.shape == (3, 2)
    torch.testing.assert_close(mean, torch.full((1, 2), 0.5))
    (found,) = torch.autograd.grad(loss, weight)
    torch.testing.assert_close(found, (2 * (hard[:, 0] - 0.3) * hard[:, 0]).mean())
