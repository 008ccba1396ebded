"""Leave-one-out against its formula, and what it gains."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor
from torch.distributions import OneHotCategorical

from drawgrad.estimators import (
    Estimator,
    LeaveOneOut,
    Reinforce,
    SampleEstimator,
    Vimco,
)
from tests.estimators.orders import FarFromZero, assert_less_error
from tests.estimators.problems import Problem


def sample_and_score(cost: Callable[[Tensor], Tensor], estimator: Estimator) -> tuple[Tensor, Tensor, Tensor]:
    """Gradient for the logits of one variable with four classes, the costs, and the scores D - pi of the samples."""
    logits = torch.tensor([0.3, -0.4, 0.9, 0.0], dtype=torch.float64, requires_grad=True)
    seen = []
    loss = estimator(lambda z: seen.append(z) or cost(z), OneHotCategorical(logits=logits), seed=1)
    return torch.autograd.grad(loss, logits)[0], cost(seen[0]), seen[0] - logits.detach().softmax(0)


def costs_of_classes(z: Tensor) -> Tensor:
    return z @ torch.tensor([3.0, -1.0, 0.5, 2.0], dtype=torch.float64)


class TestLeaveOneOut:
    @pytest.mark.parametrize("samples", [2, 5])
    def test_is_the_formula(self, samples: int) -> None:
        found, f, score = sample_and_score(costs_of_classes, LeaveOneOut(samples=samples))
        expected = torch.zeros(4, dtype=torch.float64)
        for s in range(samples):
            others = [f[j] for j in range(samples) if j != s]
            expected += (f[s] - sum(others) / (samples - 1)) * score[s] / samples
        torch.testing.assert_close(found, expected)

    def test_is_half_the_gradient_of_the_variance_of_the_log_ratio(self) -> None:
        """VarGrad: for a cost log q - log p, with log q attached in the variance and nowhere else."""
        logits = torch.tensor([0.3, -0.4, 0.9, 0.0], dtype=torch.float64, requires_grad=True)
        q = OneHotCategorical(logits=logits)
        seen = []

        def cost(z: Tensor) -> Tensor:
            seen.append(z)
            return q.log_prob(z).detach() - costs_of_classes(z)

        (found,) = torch.autograd.grad(LeaveOneOut(samples=6)(cost, q, seed=1), logits)
        ratio = OneHotCategorical(logits=logits).log_prob(seen[0]) - costs_of_classes(seen[0])
        torch.testing.assert_close(found, torch.autograd.grad(ratio.var() / 2, logits)[0])

    def test_a_constant_cost_has_no_gradient(self) -> None:
        found, _, _ = sample_and_score(lambda z: 1e6 + 0 * z[..., 0], LeaveOneOut(samples=7))
        assert torch.equal(found, torch.zeros(4, dtype=torch.float64))

    @pytest.mark.parametrize("samples", [1, 0])
    @pytest.mark.parametrize("cls", [LeaveOneOut, Vimco])
    def test_one_sample_is_refused(self, cls: type[SampleEstimator], samples: int) -> None:
        with pytest.raises(ValueError, match=f"samples must be at least 2, but it is {samples}"):
            cls(samples=samples)

    @pytest.mark.parametrize("problem", [FarFromZero("neural", 3, 2), FarFromZero("polynomial", 2, 2, binary=True)])
    def test_has_less_variance_than_no_baseline_for_a_cost_far_from_zero(self, problem: Problem) -> None:
        assert_less_error(problem, LeaveOneOut(samples=2), Reinforce(samples=2))
