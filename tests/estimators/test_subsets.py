"""Estimators that are made for subsets: what each claims, against enumeration."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.distributions import OneHotCategorical

from drawgrad.distributions import KSubset, PlackettLuce
from drawgrad.estimators import (
    ESTIMATORS,
    AdaptiveStep,
    Aimle,
    Estimator,
    Exact,
    PerturbAndMap,
    Simple,
    STGumbelTopK,
    StraightThrough,
)
from drawgrad.functional import gumbel_top_k, relaxed_top_k, subset_marginals, subset_sample
from drawgrad.variables import Place, Subset
from tests.statistics import assert_mean

DRAWS = 40_000
LOGITS = torch.tensor([0.8, -0.5, 0.3, 0.0, -1.2], dtype=torch.float64)
WEIGHT = torch.tensor([1.0, -2.0, 0.5, 3.0, -1.0], dtype=torch.float64)
OWN = [Simple(), STGumbelTopK(tau=0.5), PerturbAndMap(step=0.2), PerturbAndMap(symmetric=True, tau=0.5), Aimle()]


def linear(z: Tensor) -> Tensor:
    return z @ WEIGHT.to(z.dtype)


def curved(z: Tensor) -> Tensor:
    x = linear(z)
    return torch.tanh(x) + 0.3 * x**3


def gradients(estimator: Estimator, cost: object = curved, draws: int = DRAWS, k: int = 2) -> tuple[Tensor, Tensor]:
    logits = LOGITS.expand(draws, 5).clone().requires_grad_()
    loss = estimator(cost, KSubset(logits, k), seed=1)  # type: ignore[arg-type]
    return loss.detach(), torch.autograd.grad(loss.sum(), logits)[0]


class TestAll:
    def test_are_covered(self) -> None:
        assert {type(each) for each in OWN} == {cls for cls in ESTIMATORS.values() if cls.takes is Subset}

    @pytest.mark.parametrize("estimator", OWN, ids=repr)
    def test_draw_subsets_that_carry_a_gradient(self, estimator: Estimator) -> None:
        seen = []

        def cost(z: Tensor) -> Tensor:
            seen.append(z)
            return curved(z)

        loss, found = gradients(estimator, cost, 10)
        (z,) = seen
        assert z.shape == (estimator.evaluations(10, 1), 10, 5)
        assert bool(((z == 0) | (z == 1)).all())
        assert bool((z.sum(-1) == 2).all())
        assert loss.shape == (10,)
        assert bool(found.isfinite().all())
        assert bool((found != 0).any())
        again = gradients(estimator, draws=10)
        assert torch.equal(again[0], loss)

    @pytest.mark.parametrize("estimator", OWN, ids=repr)
    def test_claim_a_bias_and_have_one(self, estimator: Estimator) -> None:
        _, exact = gradients(Exact(), draws=1)
        _, found = gradients(estimator)
        assert not estimator.unbiased
        with pytest.raises(AssertionError, match="the mean of entry"):
            assert_mean(found, exact[0], resolution=0.5 * exact.abs().max().item())

    @pytest.mark.parametrize("estimator", OWN, ids=repr)
    def test_point_downhill(self, estimator: Estimator) -> None:
        _, exact = gradients(Exact(), draws=1)
        found = gradients(estimator)[1].mean(0)
        assert torch.cosine_similarity(found, exact[0], dim=0) > 0.7

    @pytest.mark.parametrize("estimator", [each for each in OWN if each.hard], ids=repr)
    def test_of_exact_samples_have_the_exact_value(self, estimator: Estimator) -> None:
        exact, _ = gradients(Exact(), draws=1)
        value, _ = gradients(estimator)
        assert_mean(value, exact[0], resolution=0.1 * value.std().item())

    @pytest.mark.parametrize("estimator", OWN, ids=repr)
    def test_take_nothing_else(self, estimator: Estimator) -> None:
        for q in (OneHotCategorical(logits=torch.zeros(3)), PlackettLuce(torch.zeros(3))):
            with pytest.raises(TypeError, match="takes q = KSubset, but q is a"):
                estimator(lambda z: z.sum(-1), q)

    @pytest.mark.parametrize("estimator", OWN, ids=repr)
    def test_need_the_cost_s_gradient(self, estimator: Estimator) -> None:
        with pytest.raises(ValueError, match="needs the gradient of the cost"):
            estimator(lambda z: z.detach().sum(-1), KSubset(torch.zeros(3, requires_grad=True), 2))

    @pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32])
    @pytest.mark.parametrize("estimator", OWN, ids=repr)
    def test_keep_narrow_dtypes(self, estimator: Estimator, dtype: torch.dtype) -> None:
        logits = LOGITS.to(dtype).expand(4, 5).clone().requires_grad_()
        loss = estimator(linear, KSubset(logits, 2), seed=1)
        (found,) = torch.autograd.grad(loss.sum(), logits)
        assert loss.dtype == found.dtype == dtype
        assert bool(found.isfinite().all())


class TestSimple:
    def test_is_exact_for_linear_costs(self) -> None:
        _, exact = gradients(Exact(), linear, 1)
        _, found = gradients(Simple(), linear, 3)
        torch.testing.assert_close(found, exact.expand(3, 5))

    def test_of_one_class_is_straight_through(self) -> None:
        logits = LOGITS.expand(6, 5).clone().requires_grad_()
        marginals = subset_marginals(logits, 1)
        torch.testing.assert_close(marginals, logits.softmax(-1))
        found, expected = (
            torch.autograd.grad(estimator(linear, q, seed=1).sum(), logits)[0]
            for estimator, q in (
                (Simple(), KSubset(logits, 1)),
                (StraightThrough(), OneHotCategorical(logits=logits)),
            )
        )
        torch.testing.assert_close(found, expected)

    def test_goes_through_the_marginals_at_the_sample(self) -> None:
        logits = LOGITS.clone().requires_grad_()
        z = Simple(samples=3).rsample(KSubset(logits, 2), seed=4)
        assert torch.equal(z, subset_sample(logits.expand(3, 5), 2, seed=Place().copied(3).seeds(torch.tensor(4))))
        weight = torch.randn(3, 5, dtype=torch.float64)
        (found,) = torch.autograd.grad((weight * z).sum(), logits)
        (expected,) = torch.autograd.grad((weight.sum(0) * subset_marginals(logits, 2)).sum(), logits)
        torch.testing.assert_close(found, expected)


def test_gumbel_top_k_goes_through_the_relaxed_set() -> None:
    logits = LOGITS.clone().requires_grad_()
    z = STGumbelTopK(samples=3, tau=0.5).rsample(KSubset(logits, 2), seed=4)
    expanded, seeds = logits.expand(3, 5), Place().copied(3).seeds(torch.tensor(4))
    assert bool((z.gather(-1, gumbel_top_k(expanded, 2, seed=seeds)) == 1).all())
    weight = torch.randn(3, 5, dtype=torch.float64)
    (found,) = torch.autograd.grad((weight * z).sum(), logits)
    (expected,) = torch.autograd.grad((weight * relaxed_top_k(expanded, 2, 0.5, seed=seeds)).sum(), logits)
    torch.testing.assert_close(found, expected)
    assert STGumbelTopK(tau=0.5).at(0.2).tau == 0.2


def test_gumbel_top_k_has_the_value_of_draws_without_replacement() -> None:
    q = PlackettLuce(LOGITS, 2)
    rankings = q.enumerate_support()
    z = torch.zeros(len(rankings), 5, dtype=torch.float64).scatter(-1, rankings, 1.0)
    expected = (q.log_prob(rankings).exp() * curved(z)).sum()
    value, _ = gradients(STGumbelTopK(), draws=4 * DRAWS)
    assert_mean(value, expected, resolution=0.04 * value.std().item())
    other, _ = gradients(Exact(), draws=1)
    with pytest.raises(AssertionError, match="the mean of entry"):
        assert_mean(value, other[0], resolution=0.04 * value.std().item())


class TestPerturbAndMap:
    def test_is_a_difference_of_sets_over_the_step(self) -> None:
        _, found = gradients(PerturbAndMap(step=4.0), draws=200)
        assert set((4 * found).unique().tolist()) == {-1.0, 0.0, 1.0}
        assert bool((found.sum(-1) == 0).all())

    @pytest.mark.parametrize("options", [{"step": 0.0}, {"step": -1.0}, {"tau": -1.0}, {"samples": 0}])
    def test_mistakes_are_refused(self, options: dict[str, float]) -> None:
        with pytest.raises(ValueError, match=f"{next(iter(options))} must be"):
            PerturbAndMap(**options)  # type: ignore[arg-type]


class TestAdaptiveStep:
    def test_grows_while_too_little_moves_and_shrinks_while_too_much_does(self) -> None:
        rule = AdaptiveStep(alpha=1.0, target=2.0, rate=0.1, decay=0.5)
        rule.observe(torch.zeros(3, 4))
        assert rule.alpha.item() == pytest.approx(1.1)
        assert rule.moved.item() == pytest.approx(1.0)
        for _ in range(4):
            rule.observe(torch.ones(3, 4))
        assert rule.moved.item() > 2
        assert rule.alpha.item() == pytest.approx(0.7)
        rule.eval()
        rule.observe(torch.ones(3, 4))
        assert rule.alpha.item() == pytest.approx(0.7)

    def test_scales_with_the_weights_and_not_with_the_gradient(self) -> None:
        rule = AdaptiveStep(alpha=0.5)
        theta, grad = torch.randn(3, 4), torch.randn(3, 4)
        move = rule.size(theta, grad) * grad
        torch.testing.assert_close(rule.size(theta, 100 * grad) * 100 * grad, move)
        torch.testing.assert_close(rule.size(7 * theta, grad) * grad, 7 * move)
        assert bool(rule.size(theta, torch.zeros(3, 4)).isfinite())

    def test_finds_the_step_that_moves_as_many_as_wanted(self) -> None:
        estimator = Aimle(AdaptiveStep(alpha=0.0, target=2.0, rate=0.02))
        moved = []
        for seed in range(150):
            logits = LOGITS.expand(200, 5).clone().requires_grad_()
            loss = estimator(curved, KSubset(logits, 2), seed=seed)
            (found,) = torch.autograd.grad(loss.sum(), logits)
            moved.append((found != 0).sum(-1).double().mean().item())
        assert moved[0] < 0.1
        assert sum(moved[-20:]) / 20 == pytest.approx(2.0, abs=0.3)
        assert "step.alpha" in estimator.state_dict()

    @pytest.mark.parametrize("options", [{"alpha": -1.0}, {"target": 0.0}, {"rate": -1.0}, {"decay": 1.0}])
    def test_mistakes_are_refused(self, options: dict[str, float]) -> None:
        with pytest.raises(ValueError, match=f"{next(iter(options))} must be"):
            AdaptiveStep(**options)
