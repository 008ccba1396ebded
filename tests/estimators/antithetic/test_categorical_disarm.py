"""Categorical DisARM beside independent samples, and what antithetic estimators refuse."""

from __future__ import annotations

import pytest
import torch
from torch.distributions import Bernoulli, Distribution, OneHotCategorical

from drawgrad.estimators import Arm, Arsm, CategoricalDisArm, DisArm, Estimator, LeaveOneOut
from tests.estimators.orders import assert_less_error
from tests.estimators.problems import Problem


class TestOrders:
    """Costs far from zero cancel in differences; coupled pairs beat independent ones where little else helps."""

    def test_disarm_has_less_variance_than_two_independent_samples(self) -> None:
        assert_less_error(Problem("linear", 2, 3, True), DisArm(), LeaveOneOut(samples=2), draws=20_000)

    def test_one_fair_coin_has_none(self) -> None:
        logits = torch.zeros(100, requires_grad=True)
        DisArm()(lambda b: (b - 0.45) ** 2, Bernoulli(logits=logits), seed=0).sum().backward()
        torch.testing.assert_close(logits.grad, torch.full((100,), 0.025))


class TestErrors:
    @pytest.mark.parametrize("estimator", [Arm(), DisArm()], ids=["Arm", "DisArm"])
    def test_of_binary_estimators_name_those_for_categories(self, estimator: Estimator) -> None:
        name = type(estimator).__name__
        with pytest.raises(
            TypeError, match=rf"{name} takes q = Bernoulli, but q is a OneHotCategorical.* Arsm, .*CategoricalDisArm"
        ):
            estimator(lambda z: z[..., 0], OneHotCategorical(logits=torch.zeros(3)))

    @pytest.mark.parametrize("estimator", [CategoricalDisArm(), Arsm()], ids=["CategoricalDisArm", "Arsm"])
    def test_of_categorical_estimators_name_those_for_coins(self, estimator: Estimator) -> None:
        with pytest.raises(TypeError, match=r"takes q = OneHotCategorical, but q is a Bernoulli.* Arm, .*DisArm"):
            estimator(lambda b: b, Bernoulli(logits=torch.zeros(3)))

    def test_of_an_unknown_tree(self) -> None:
        with pytest.raises(ValueError, match="tree must be 'balanced' or 'stick', but it is 'oak'"):
            CategoricalDisArm(tree="oak")  # type: ignore[arg-type]


@pytest.mark.parametrize("estimator", [CategoricalDisArm(), CategoricalDisArm(tree="stick"), Arsm()], ids=str)
def test_a_single_class_has_no_gradient(estimator: Estimator) -> None:
    q: Distribution = OneHotCategorical(logits=torch.zeros(4, 1, requires_grad=True))
    loss = estimator(lambda z: 3 * z[..., 0], q, seed=0)
    assert torch.equal(loss.detach(), torch.full((4,), 3.0))
    assert torch.equal(torch.autograd.grad(loss.sum(), q.logits)[0], torch.zeros(4, 1))
