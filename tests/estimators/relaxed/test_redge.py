"""ReDGE against quadrature, and what it becomes at its ends."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.distributions import Bernoulli, OneHotCategorical

from drawgrad.estimators import ReDGE, StraightThrough
from tests.estimators.problems import Problem
from tests.statistics import assert_frequencies, assert_mean

LOGIT = 0.7


def by_quadrature(steps: int, last: float) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Probability of a one, E[f] and the gradient's mean for f(b) = (b - 0.2)^3 of one coin, over the noise."""
    # Of two classes with independent normal noise only the difference counts, whose variance is 2.
    nodes, weights = np.polynomial.hermite.hermgauss(200)
    d, w = torch.from_numpy(2.0 * nodes), torch.from_numpy(weights / np.sqrt(np.pi))
    logit = torch.tensor(LOGIT, dtype=torch.float64, requires_grad=True)
    alphas = np.linspace(1 - last, 1e-4, steps)
    for t in range(steps - 1, -1, -1):
        alpha, sigma = alphas[t], 1 - alphas[t]
        p = torch.sigmoid(logit + alpha * d / sigma**2)
        if t:
            mean = 2 * p - 1
            d = alphas[t - 1] * mean + (1 - alphas[t - 1]) / sigma * (d - alpha * mean)
    slope = p.detach() * 3 * 0.8**2 + (1 - p.detach()) * 3 * 0.2**2
    gradient = torch.autograd.grad((w * slope * p).sum(), logit)[0]
    value = w * (p * 0.8**3 + (1 - p) * -(0.2**3))
    return (w * p).sum().detach(), value.sum().detach(), gradient


@pytest.mark.parametrize(("steps", "last"), [(1, 0.5), (2, 0.6), (5, 0.4)])
def test_agrees_with_quadrature_for_a_coin(steps: int, last: float) -> None:
    probability, value, gradient = by_quadrature(steps, last)
    for family in (Bernoulli, OneHotCategorical):
        # A coin is two classes, of which one has logit 0.
        leaf = torch.tensor([LOGIT, 0.0], dtype=torch.float64)[: 1 if family is Bernoulli else 2]
        logits = leaf.expand(160_000, -1).clone().requires_grad_()
        q = family(logits=logits[:, 0] if family is Bernoulli else logits)
        seen = []

        def cost(z: torch.Tensor, family: type = family, seen: list[torch.Tensor] = seen) -> torch.Tensor:
            one = z if family is Bernoulli else z[..., 0]
            seen.append(one.detach())
            return (one - 0.2) ** 3

        loss = ReDGE(steps=steps, last=last)(cost, q, seed=2)
        (found,) = torch.autograd.grad(loss.sum(), logits)
        assert_mean(seen[0][0], probability, resolution=0.01)
        assert_mean(loss, value, resolution=0.01)
        assert_mean(found[:, 0], gradient, resolution=0.03 * gradient.abs().item() + 0.01)


def test_without_a_trace_of_the_sample_is_straight_through() -> None:
    problem = Problem("neural", 3, 2)
    logits = problem.logits.expand(500, 2, 3).clone().requires_grad_()
    seen = []

    def cost(z: torch.Tensor) -> torch.Tensor:
        seen.append(z)
        return problem.cost(z, problem.parameters)

    loss = ReDGE(steps=1, last=1.0)(cost, problem.distribution(logits), seed=3)
    (found,) = torch.autograd.grad(loss.sum(), logits)
    z = seen[0][0].detach()
    leaf = z.clone().requires_grad_()
    (slope,) = torch.autograd.grad(problem.cost(leaf, problem.parameters).sum(), leaf)
    pi = logits.detach().softmax(-1)
    torch.testing.assert_close(found, pi * (slope - (pi * slope).sum(-1, keepdim=True)))
    linear = Problem("linear", 3, 2)
    torch.testing.assert_close(
        linear.estimates(ReDGE(steps=1, last=1.0), 3).logits, linear.estimates(StraightThrough(), 3).logits
    )


def test_many_steps_draw_from_q() -> None:
    logits = torch.tensor([1.0, -0.5, 0.2, 0.0], dtype=torch.float64)
    q = OneHotCategorical(logits=logits)

    def counts(steps: int) -> torch.Tensor:
        return ReDGE(steps=steps, last=0.3, samples=60_000).rsample(q, seed=4).detach().sum(0)

    assert_frequencies(counts(60), q.probs, resolution=0.02)
    with pytest.raises(AssertionError, match="chi-square"):
        assert_frequencies(counts(1), q.probs, resolution=0.02)


@pytest.mark.parametrize("options", [{"steps": 0}, {"last": 0.0}, {"last": 1.5}, {"samples": 0}])
def test_mistakes_are_refused(options: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=f"{next(iter(options))} must be"):
        ReDGE(**options)  # type: ignore[arg-type]
