"""What is known of a cost: spread, rounding, and whether it is random."""

from __future__ import annotations

import itertools

import pytest
import torch
from torch import Tensor
from torch.distributions import Bernoulli, Normal, OneHotCategorical

from drawgrad.diagnostics import compare
from drawgrad.diagnostics.comparison.costs import CostFunction, Watched
from drawgrad.estimators import Estimator, Exact, LeaveOneOut, MuProp, Reinforce, ReinMax, StraightThrough

LOGITS = torch.tensor([0.5, -0.3, 0.1])
WEIGHTS = torch.tensor([0.5, -1.0, 2.0])


def plain(z: Tensor) -> Tensor:
    return (z * WEIGHTS).sum(-1) ** 2


def dropped_out(z: Tensor) -> Tensor:
    return torch.nn.functional.dropout(plain(z), 0.5, training=True)


def nested(z: Tensor) -> Tensor:
    """An expectation inside, of a Bernoulli variable whose logit is the outer cost."""
    return LeaveOneOut()(lambda inner: inner.squeeze(-1), Bernoulli(logits=plain(z)[..., None])) * 3


def with_one_noise_for_all(z: Tensor) -> Tensor:
    return plain(z) * (1 + torch.randn(()))


RANDOM = (dropped_out, nested, with_one_noise_for_all)


class TestWatched:
    @pytest.mark.parametrize("cost", RANDOM)
    def test_notices_random_numbers_of_torch(self, cost: CostFunction) -> None:
        watched = Watched(cost)
        watched(torch.eye(3))
        assert watched.is_random

    def test_notices_them_also_where_they_change_nothing(self) -> None:
        watched = Watched(lambda z: plain(z) + (torch.rand(()) < 0))
        watched(torch.eye(3))
        assert watched.is_random

    def test_notices_random_numbers_of_another_source(self) -> None:
        own = torch.Generator().manual_seed(0)
        for cost in (
            lambda z: plain(z) + 1e-3 * torch.randn(len(z), generator=own),
            lambda z: torch.where(torch.rand(len(z), generator=own) < 0.5, torch.inf, plain(z)),
        ):
            watched = Watched(cost)
            watched(torch.eye(3))
            assert watched.is_random

    def test_notices_a_cost_that_changes(self) -> None:
        counter = itertools.count()
        watched = Watched(lambda z: plain(z) + next(counter))
        watched(torch.eye(3))
        assert watched.is_random

    @pytest.mark.parametrize("cost", [plain, lambda z: plain(z) * torch.nan, lambda z: plain(z).log()])
    def test_lets_others_pass(self, cost: CostFunction) -> None:
        watched = Watched(cost)
        for _ in range(3):
            watched(torch.eye(3))
        assert not watched.is_random

    def test_of_costs_is_that_of_the_coarser_dtype(self) -> None:
        watched = Watched(lambda z: z)
        watched(torch.tensor([-8.0, 2.0, torch.inf]))
        assert watched.spread == 10
        assert watched.rounding(torch.float64) == watched.rounding(torch.float32) == 32 * torch.finfo(torch.float32).eps
        assert watched.rounding(torch.bfloat16) > watched.rounding(torch.float32)

    def test_computes_twice_only_so_many(self) -> None:
        given = 0

        def cost(z: Tensor) -> Tensor:
            nonlocal given
            given += len(z)
            return plain(z)

        watched = Watched(cost)
        for _ in range(100):
            watched(torch.zeros(100, 3))
        assert given == 11_000


class TestComparisonOfARandomCost:
    def compared(self, cost: CostFunction, *estimators: Estimator, seed: int = 0, draws: int = 600) -> dict[str, str]:
        torch.manual_seed(seed)
        q = OneHotCategorical(logits=LOGITS)
        report = compare(
            estimators, cost, q, draws=draws, resolution=0.5, generator=torch.Generator().manual_seed(seed)
        )
        assert report.random_cost
        assert report.reference == f"the mean of {draws} enumerations, as the cost is random"
        assert report.reference_norm.error > 0
        assert report["Exact"].variance.value > 0
        assert report["Exact"].draws == draws
        return {row.name: row.verdict for row in report.rows}

    @pytest.mark.parametrize("cost", RANDOM)
    def test_calls_no_unbiased_estimator_biased(self, cost: CostFunction) -> None:
        found = self.compared(cost, Exact(), LeaveOneOut(), Reinforce())
        assert set(found.values()) <= {"none seen", "too few draws"}
        assert found["Exact"] == "none seen"

    def test_still_notices_a_bias(self) -> None:
        found = self.compared(dropped_out, Exact(), StraightThrough(), ReinMax(), MuProp())
        assert found["StraightThrough"] == "biased"
        assert found["MuProp"] != "biased"

    def test_says_so_where_the_reference_is_drawn(self) -> None:
        q = Normal(torch.zeros(2), 1.0)
        report = compare([LeaveOneOut()], lambda z: z**2 * torch.rand(()), q, draws=100)
        assert report.random_cost
        assert report.reference == "the mean of 400 gradients of LeaveOneOut(samples=16)"
        assert "\nThe cost is random: " in report.note()
        assert "random" not in compare([LeaveOneOut()], lambda z: z**2, q, draws=20).note()

    def test_is_drawn_where_enumerations_would_take_too_long(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("drawgrad.diagnostics.comparison.reference.MOST_COSTS", 100)
        report = compare([Exact()], dropped_out, OneHotCategorical(logits=LOGITS), draws=50)
        assert report.reference == "the mean of 200 gradients of LeaveOneOut(samples=16)"
