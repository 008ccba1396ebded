"""A kind of variable that is registered outside the package works with every estimator that it fits, unedited."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from drawgrad.diagnostics import compare, recommend
from drawgrad.estimators import (
    ESTIMATORS,
    Estimator,
    Exact,
    IndeCateR,
    LeaveOneOut,
    MovingAverage,
    Nvil,
    RaoBlackwellScore,
    Reinforce,
    UnorderedSet,
    Vimco,
)
from tests.estimators.networks import MeanFeature
from tests.statistics import assert_mean, with_enough_draws
from tests.variables.own_kind import PAIRS, TwoOfFour

DRAWS = 60_000
SCORES = torch.tensor([[0.4, -0.9, 0.1, 1.2, -0.3, 0.7], [-0.2, 0.8, 0.5, -1.1, 0.0, 0.3]], dtype=torch.float64)
"""Two variables that share a cost."""
FITTING = ["Exact", "IndeCateR", "LeaveOneOut", "RaoBlackwellScore", "Reinforce", "UnorderedSet", "Vimco"]
MAKES: list[Callable[[], Estimator]] = [
    lambda: IndeCateR(),
    lambda: LeaveOneOut(samples=3),
    lambda: RaoBlackwellScore(top=3),
    lambda: Reinforce(),
    lambda: Reinforce(MovingAverage(), samples=2, antithetic=True),
    lambda: Reinforce(Nvil(MeanFeature(), normalize=False)),
    lambda: Reinforce(proposal=lambda q: TwoOfFour(q.scores / 2)),
    lambda: UnorderedSet(samples=3),
]


def cost(z: Tensor) -> Tensor:
    """Costs ``(...)`` of samples ``(..., 2, 4)``, with products within and between the two."""
    first, second = z[..., 0, :], z[..., 1, :]
    weights = torch.tensor([1.0, -0.5, 0.3, 2.0], dtype=z.dtype)
    return (first * weights).sum(-1) + 1.5 * (first * second).sum(-1) - second[..., 0] * second[..., 1]


def by_state() -> tuple[Tensor, Tensor]:
    """Numbers and costs of all 36 states."""
    number = torch.cartesian_prod(torch.arange(6), torch.arange(6))
    return number, cost(PAIRS.double()[number])


def expected(objective: Callable[[Tensor, Tensor], Tensor]) -> tuple[Tensor, Tensor]:
    """A function of the states' probabilities and costs, and its gradient for the scores."""
    scores = SCORES.clone().requires_grad_()
    number, costs = by_state()
    p = scores.log_softmax(-1).exp()
    value = objective(p[0, number[:, 0]] * p[1, number[:, 1]], costs)
    return value.detach(), torch.autograd.grad(value, scores)[0]


def estimates(estimator: Estimator, draws: int) -> tuple[Tensor, Tensor]:
    scores = SCORES.expand(draws, 2, 6).clone().requires_grad_()
    loss = estimator(cost, TwoOfFour(scores), seed=1)
    return loss.detach(), torch.autograd.grad(loss.sum(), scores)[0]


def test_those_that_fit_are_found() -> None:
    q = TwoOfFour(SCORES)
    assert sorted(name for name, cls in ESTIMATORS.items() if cls().obstacle(q) is None) == FITTING
    with pytest.raises(TypeError, match=r"ReinMax takes q = .*, but q is a TwoOfFour; .* take it: Exact, IndeCateR"):
        ESTIMATORS["ReinMax"]()(cost, q)


def test_enumeration_is_exact() -> None:
    value, gradient = expected(lambda p, f: (p * f).sum())
    for estimator in (Exact(), UnorderedSet(samples=36), RaoBlackwellScore(top=36)):
        found = estimates(estimator, 2)
        torch.testing.assert_close(found[0], value.expand(2))
        torch.testing.assert_close(found[1], gradient.expand(2, 2, 6))


@pytest.mark.parametrize("make", MAKES)
def test_the_mean_is_exact(make: Callable[[], Estimator]) -> None:
    value, gradient = expected(lambda p, f: (p * f).sum())

    def check(draws: int) -> None:
        found = estimates(make(), draws)
        assert_mean(found[0], value, resolution=0.2 * found[0].std().item())
        assert_mean(found[1], gradient, resolution=0.2 * gradient.abs().max().item())

    with_enough_draws(check, 4 * DRAWS)


def test_the_mean_of_a_bound_is_exact() -> None:
    def bound(p: Tensor, f: Tensor) -> Tensor:
        pair = -torch.logaddexp(-f[:, None], -f[None]) + torch.log(torch.tensor(2.0))
        return (p[:, None] * p[None] * pair).sum()

    value, gradient = expected(bound)

    def check(draws: int) -> None:
        found = estimates(Vimco(samples=2), draws)
        assert_mean(found[0], value, resolution=0.2 * found[0].std().item())
        assert_mean(found[1], gradient, resolution=0.2 * gradient.abs().max().item())

    with_enough_draws(check, 4 * DRAWS)


def test_a_wrong_expectation_is_noticed() -> None:
    gradient = expected(lambda p, f: (p * f).sum())[1]
    with pytest.raises(AssertionError, match="the mean of entry"):
        assert_mean(estimates(LeaveOneOut(), DRAWS)[1], 0.7 * gradient, resolution=0.2 * gradient.abs().max().item())


def test_compare_and_recommend_measure_it_against_enumeration() -> None:
    q = TwoOfFour(SCORES)
    report = compare([LeaveOneOut(samples=4), Exact()], cost, q, draws=4000, generator=torch.Generator().manual_seed(1))
    assert "exact" in report.reference
    gradient = expected(lambda p, f: (p * f).sum())[1]
    assert report.reference_norm.value == pytest.approx(gradient.norm().item(), rel=1e-5)
    assert [row.verdict for row in report.rows] == ["none seen"] * 2
    assert report.rows[0].variance.value > report.rows[1].variance.value == 0
    found = recommend(cost, q, evaluations=12, draws=500, generator=torch.Generator().manual_seed(1))
    names = {row.name.partition("(")[0] for row in found.report.rows}
    assert names >= set(FITTING) - {"Vimco"}
