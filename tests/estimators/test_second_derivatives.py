"""Derivatives beyond the first: those of the expectation, by enumeration, or a refusal."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor
from torch.distributions import Bernoulli, Distribution, Normal, OneHotCategorical

from drawgrad.estimators import (
    ESTIMATORS,
    Cage,
    Estimator,
    IndeCateR,
    LeaveOneOut,
    Nvil,
    Pathwise,
    Reinforce,
    ReinMax,
    SlopeAnnealedStraightThrough,
    StraightThrough,
    StraightThroughEstimator,
)
from tests.estimators.cases import CASES
from tests.estimators.networks import MeanFeature
from tests.statistics import assert_mean, with_enough_draws

WEIGHTS = torch.linspace(-1, 1, 6, dtype=torch.float64).reshape(2, 3)
DIRECTION = torch.linspace(0.5, -0.7, 6, dtype=torch.float64).reshape(2, 3)
ONE_HOT = torch.tensor([[0.3, -0.2, 0.5], [-0.6, 0.4, 0.1]], dtype=torch.float64)
COINS = torch.tensor([0.3, -0.2, 0.5], dtype=torch.float64)

Second = tuple[Tensor, Tensor]


def cost(z: Tensor, scale: Tensor, binary: bool) -> Tensor:
    x = torch.stack([z, 1 - z], -2) if binary else z
    return torch.tanh((x * WEIGHTS).sum((-1, -2)) * scale) + 0.5 * x[..., 0, 0] * x[..., 1, 1] * scale**2


def seconds(loss: Tensor, logits: Tensor, scale: Tensor) -> Second:
    """The derivative of a directional derivative, for the logits and for what the cost closes over."""
    (first,) = torch.autograd.grad(loss.sum(), logits, create_graph=True)
    direction = DIRECTION if logits.shape[-2:] == (2, 3) else DIRECTION[0]
    return torch.autograd.grad((first * direction).sum(), (logits, scale))


def estimates(estimator: Estimator, draws: int, binary: bool) -> Second:
    base = COINS if binary else ONE_HOT
    logits = base.expand(draws, *base.shape).clone().requires_grad_()
    scale = torch.full((draws,), 0.8, dtype=torch.float64, requires_grad=True)
    q: Distribution = (Bernoulli if binary else OneHotCategorical)(logits=logits)
    return seconds(estimator(lambda z: cost(z, scale, binary), q, seed=1), logits, scale)


def exact(binary: bool) -> Second:
    """By the sum over all states, written apart from the package."""
    logits = (COINS if binary else ONE_HOT).clone().requires_grad_()
    scale = torch.tensor(0.8, dtype=torch.float64, requires_grad=True)
    if binary:
        z = torch.cartesian_prod(*[torch.arange(2)] * 3).double()
        p = (z * logits.sigmoid() + (1 - z) * (-logits).sigmoid()).prod(-1)
    else:
        z = torch.eye(3, dtype=torch.float64)[torch.cartesian_prod(torch.arange(3), torch.arange(3))]
        p = (z * logits.softmax(-1)).sum(-1).prod(-1)
    return seconds((p * cost(z, scale, binary)).sum(), logits, scale)


def fitting(chosen: Callable[[Estimator], bool]) -> list[object]:
    return [
        pytest.param(make, binary, id=f"{label}-{'coins' if binary else 'classes'}")
        for label, make in CASES
        for binary, q in ((False, OneHotCategorical(logits=ONE_HOT)), (True, Bernoulli(logits=COINS)))
        if make().obstacle(q) is None and chosen(make())
    ]


def has_them(estimator: Estimator) -> bool:
    # A normalized signal is scaled, as the docstring says.
    return estimator.twice_differentiable and not isinstance(getattr(estimator, "baseline", None), Nvil)


def refuses(estimator: Estimator) -> bool:
    if isinstance(estimator, StraightThroughEstimator):
        return estimator.holds_sample
    return estimator.unbiased and not estimator.twice_differentiable


@pytest.mark.parametrize(("make", "binary"), fitting(has_them))
def test_have_the_exact_mean(make: Callable[[], Estimator], binary: bool) -> None:
    expected = exact(binary)

    def check(draws: int) -> None:
        found = estimates(make(), draws, binary)
        for one, other in zip(found, expected, strict=True):
            assert_mean(one, other, resolution=0.3 * other.abs().max().item(), magnitude=10.0)

    with_enough_draws(check, 800_000)


def test_a_missing_part_is_noticed() -> None:
    """The second derivative of the first derivative's formula alone, which is what a detached cost leaves."""

    def wrong(draws: int) -> Tensor:
        logits = ONE_HOT.expand(draws, 2, 3).clone().requires_grad_()
        z = OneHotCategorical(logits=logits).sample()
        score = (z * logits.log_softmax(-1)).sum((-1, -2))
        costs = cost(z, torch.tensor(0.8, dtype=torch.float64), False)
        (first,) = torch.autograd.grad((costs * score).sum(), logits, create_graph=True)
        return torch.autograd.grad((first * DIRECTION).sum(), logits)[0]

    expected = exact(False)[0]
    with pytest.raises(AssertionError, match="the mean of entry"):
        assert_mean(wrong(200_000), expected, resolution=0.3 * expected.abs().max().item())


def test_of_a_baseline_that_learns_without_a_scale_have_the_exact_mean() -> None:
    expected = exact(False)[0]
    found = estimates(Reinforce(Nvil(MeanFeature(), normalize=False)), 200_000, False)[0]
    assert_mean(found, expected, resolution=0.3 * expected.abs().max().item())


@pytest.mark.parametrize(("make", "binary"), fitting(refuses))
@pytest.mark.parametrize("leaf", [0, 1])
def test_of_a_formula_are_refused(make: Callable[[], Estimator], binary: bool, leaf: int) -> None:
    base = COINS if binary else ONE_HOT
    logits = base.expand(4, *base.shape).clone().requires_grad_()
    scale = torch.full((4,), 0.8, dtype=torch.float64, requires_grad=True)
    q: Distribution = (Bernoulli if binary else OneHotCategorical)(logits=logits)
    loss = make()(lambda z: cost(z, scale, binary), q, seed=1)
    (first,) = torch.autograd.grad(loss.sum(), logits, create_graph=True)
    with pytest.raises(RuntimeError, match="a formula without second derivatives; use one that has them: Exact, Leave"):
        torch.autograd.grad(first.square().sum(), (logits, scale)[leaf])


def test_of_one_variable_alone_indecater_is_the_exact_sum() -> None:
    logits, scale = ONE_HOT[0].clone().requires_grad_(), torch.tensor(0.8, dtype=torch.float64, requires_grad=True)

    def second(loss: Tensor) -> Second:
        (first,) = torch.autograd.grad(loss, logits, create_graph=True)
        return torch.autograd.grad((first * DIRECTION[0]).sum(), (logits, scale))

    def one(z: Tensor) -> Tensor:
        return torch.tanh((z * WEIGHTS[0]).sum(-1) * scale)

    expected = second((logits.softmax(-1) * one(torch.eye(3, dtype=torch.float64))).sum())
    torch.testing.assert_close(second(IndeCateR()(one, OneHotCategorical(logits=logits), seed=1)), expected)


def test_of_continuous_samples_are_right() -> None:
    """E[(x - 1)^3] for a normal x: second derivative 6 (mean - 1)."""
    for estimator in (Pathwise(), LeaveOneOut(samples=3)):
        mean = torch.full((400_000,), 1.5, dtype=torch.float64, requires_grad=True)
        loss = estimator(lambda z: (z - 1) ** 3, Normal(mean, 0.5), seed=1)
        (first,) = torch.autograd.grad(loss.sum(), mean, create_graph=True)
        (second,) = torch.autograd.grad(first.sum(), mean)
        assert_mean(second, 3.0, resolution=0.3)


def test_every_estimator_declares_whether_it_has_them() -> None:
    have = {name for name, cls in ESTIMATORS.items() if cls.twice_differentiable}
    assert have == {"Exact", "LeaveOneOut", "Pathwise", "RaoBlackwellScore", "Reinforce", "UnorderedSet"}


class TestOfASurrogate:
    """Where they are not refused, they are right for those costs for which the gradient is."""

    @staticmethod
    def second(estimator: Estimator, draws: int) -> Tensor:
        logits = ONE_HOT.expand(draws, 2, 3).clone().requires_grad_()
        loss = estimator(lambda z: (z * WEIGHTS).sum((-1, -2)), OneHotCategorical(logits=logits), seed=1)
        (first,) = torch.autograd.grad(loss.sum(), logits, create_graph=True)
        return torch.autograd.grad((first * DIRECTION).sum(), logits)[0]

    @pytest.mark.parametrize(
        "make",
        [
            StraightThrough,
            SlopeAnnealedStraightThrough,
            lambda: Cage(coldest=1.0, warmest=1.0),
            lambda: Cage(coldest=1.0, warmest=1.0, greedy=False),
        ],
    )
    def test_of_a_linear_cost_are_exact(self, make: Callable[[], Estimator]) -> None:
        logits = ONE_HOT.clone().requires_grad_()
        (first,) = torch.autograd.grad((logits.softmax(-1) * WEIGHTS).sum(), logits, create_graph=True)
        (expected,) = torch.autograd.grad((first * DIRECTION).sum(), logits)
        torch.testing.assert_close(self.second(make(), 2)[0], expected)

    def test_of_a_formula_with_the_sample_would_be_half_of_them(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """What is refused: the gradient of ReinMax is exact for this cost, and its formula's derivative is not."""
        monkeypatch.setattr(ReinMax, "holds_sample", False)
        logits = ONE_HOT.clone().requires_grad_()
        (first,) = torch.autograd.grad((logits.softmax(-1) * WEIGHTS).sum(), logits, create_graph=True)
        (expected,) = torch.autograd.grad((first * DIRECTION).sum(), logits)
        found = self.second(ReinMax(), 200_000)
        assert_mean(found, expected / 2, resolution=0.2 * expected.abs().max().item())
        with pytest.raises(AssertionError, match="the mean of entry"):
            assert_mean(found, expected, resolution=0.2 * expected.abs().max().item())
