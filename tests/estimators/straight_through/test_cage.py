"""CAGE: the class it takes, its gradient, and the temperature that follows the confidence."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.distributions import Bernoulli, OneHotCategorical

from drawgrad.estimators import Cage, SlopeAnnealedStraightThrough
from tests.estimators.problems import Problem

PROBLEM = Problem("neural", 3, 2)


def call(estimator: Cage, logits: Tensor) -> Tensor:
    return estimator(lambda z: z[..., 0].square(), OneHotCategorical(logits=logits), seed=0)


class TestTemperature:
    def test_follows_the_mean_of_the_largest_probabilities(self) -> None:
        estimator = Cage(coldest=0.5, warmest=3.0, decay=0.9)
        generator = torch.Generator().manual_seed(0)
        confidence, classes = torch.tensor(1 / 4, dtype=torch.float64), 4
        for _ in range(5):
            logits = 3 * torch.randn(6, classes, generator=generator, dtype=torch.float64)
            call(estimator, logits)
            confidence = 0.9 * confidence + 0.1 * logits.softmax(-1).amax(-1).mean()
            progress = (confidence - 1 / classes) / (1 - 1 / classes)
            assert estimator.tau.item() == pytest.approx((3.0 + (0.5 - 3.0) * progress).item(), rel=1e-5)

    def test_of_a_coin_is_that_of_two_classes(self) -> None:
        ours, theirs = Cage(decay=0.0), Cage(decay=0.0)
        x = torch.tensor([0.3, -2.0, 1.0])
        ours(lambda b: b, Bernoulli(logits=x))
        theirs(lambda z: z[..., 0], OneHotCategorical(logits=torch.stack([x, torch.zeros(3)], -1)))
        torch.testing.assert_close(ours.tau, theirs.tau)
        assert 0.5 < ours.tau.item() < 3.0

    def test_rests_in_evaluation_and_where_nothing_can_be_seen(self) -> None:
        estimator = Cage(decay=0.5)
        call(estimator, torch.tensor([[4.0, 0.0]]))
        before = estimator.tau
        for nothing in (torch.tensor([torch.nan, 3.0]), torch.zeros(0)):
            estimator(lambda b: b, Bernoulli(logits=nothing, validate_args=False))
        estimator.eval()
        call(estimator, torch.tensor([[40.0, 0.0]]))
        assert torch.equal(estimator.tau, before)
        assert list(estimator.state_dict()) == ["certainty"]

    def test_is_that_of_the_call_before(self) -> None:
        estimator = Cage(decay=0.0)
        logits = torch.tensor([[5.0, 0.0, 0.0]], dtype=torch.float64, requires_grad=True)
        first, second = (torch.autograd.grad(call(estimator, logits).sum(), logits)[0] for _ in range(2))
        pi = (logits.detach() / 3.0).softmax(-1)
        slope = torch.tensor([[2.0, 0.0, 0.0]], dtype=torch.float64)
        torch.testing.assert_close(first, pi * (slope - (pi * slope).sum(-1, keepdim=True)) / 3.0)
        assert not torch.allclose(first, second)


def test_takes_the_most_probable_class() -> None:
    found = PROBLEM.estimates(Cage(), 4)
    mode = torch.eye(3, dtype=torch.float64)[PROBLEM.logits.argmax(-1)]
    torch.testing.assert_close(found.value, PROBLEM.cost(mode, PROBLEM.parameters).expand(4))
    assert torch.equal(found.logits, PROBLEM.estimates(Cage(), 4, seed=9).logits)
    coin = Problem("polynomial", 2, 3, binary=True)
    mode = (coin.logits > 0).double()
    torch.testing.assert_close(coin.estimates(Cage(), 2).value, coin.cost(mode, coin.parameters).expand(2))


def test_drawn_samples_make_it_slope_annealed_straight_through() -> None:
    for problem in (PROBLEM, Problem("polynomial", 2, 3, binary=True)):
        found = problem.estimates(Cage(greedy=False, samples=2, warmest=2.0), 20)
        expected = problem.estimates(SlopeAnnealedStraightThrough(samples=2, tau=2.0), 20)
        torch.testing.assert_close(found.value, expected.value)
        torch.testing.assert_close(found.logits, expected.logits)


@pytest.mark.parametrize("options", [{"samples": 0}, {"coldest": 0.0}, {"warmest": 0.1}, {"decay": 1.0}])
def test_mistakes_are_refused(options: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=f"{next(iter(options))} must"):
        Cage(**options)  # type: ignore[arg-type]
