"""Ratios of inclusion probabilities, against all orders of the draws."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import pytest
import torch

from drawgrad.estimators.structured.inclusion import leave_one_out_ratios


def probability(p: Sequence[float], drawn: Sequence[int], left_out: Sequence[int] = ()) -> float:
    """That the first draws without replacement, from all but those left out, are those of a set: order by order."""
    total = 0.0
    for order in itertools.permutations(set(drawn) - set(left_out)):
        rest = [value for state, value in enumerate(p) if state not in left_out]
        one = 1.0
        for state in order:
            one *= p[state] / sum(rest)
            rest.remove(p[state])
        total += one
    return total


class TestRatios:
    CASES = ((5, 2, 1.0), (6, 3, 2.0), (6, 4, 3.0), (5, 5, 1.0), (8, 4, 5.0))

    @pytest.mark.parametrize(("states", "size", "scale"), CASES)
    def test_are_those_of_all_orders(self, states: int, size: int, scale: float) -> None:
        p = (torch.randn(states, dtype=torch.float64) * scale).softmax(0)
        sets = list(itertools.combinations(range(states), size))
        first, second = leave_one_out_ratios(p[torch.tensor(sets)])
        for row, drawn in enumerate(sets):
            whole = probability(p.tolist(), drawn)
            for i, s in enumerate(drawn):
                without = probability(p.tolist(), drawn, (s,))
                assert first[row, i].item() == pytest.approx(without / whole, rel=1e-7)
                for j, t in enumerate(drawn):
                    expected = 1.0 if i == j else probability(p.tolist(), drawn, (s, t)) / without
                    assert second[row, i, j].item() == pytest.approx(expected, rel=1e-7)

    @pytest.mark.parametrize(("states", "size", "scale"), CASES)
    def test_make_the_estimate_exact_on_average_over_all_sets(self, states: int, size: int, scale: float) -> None:
        """The theorem itself, without a sample: value and gradient, weighted by the probability of each set."""
        p = (torch.randn(states, dtype=torch.float64) * scale).softmax(0)
        f = torch.randn(states, dtype=torch.float64) + 3
        sets = list(itertools.combinations(range(states), size))
        index = torch.tensor(sets)
        first, second = leave_one_out_ratios(p[index])
        chance = torch.tensor([probability(p.tolist(), drawn) for drawn in sets], dtype=torch.float64)
        assert chance.sum().item() == pytest.approx(1)
        baseline = (p[index][:, None] * second * f[index][:, None]).sum(-1)
        weights = chance[:, None] * p[index] * first
        assert (weights * f[index]).sum().item() == pytest.approx((p @ f).item(), rel=1e-8)
        score = torch.eye(states, dtype=torch.float64)[index] - p
        found = ((weights * (f[index] - baseline))[..., None] * score).sum((0, 1))
        torch.testing.assert_close(found, p * (f - p @ f), rtol=1e-7, atol=1e-9)

    def test_of_a_set_that_holds_everything_are_one(self) -> None:
        for p in ([1.0], [0.3, 0.7], [1.0, 0.0], [1 - 1e-12, 1e-12]):
            first, second = leave_one_out_ratios(torch.tensor([p], dtype=torch.float64))
            torch.testing.assert_close(first[0, 0].item(), 1.0)
            assert bool(second.isfinite().all())

    def test_of_many_rare_states_do_not_vanish(self) -> None:
        first, second = leave_one_out_ratios(torch.full((1, 20), 1e-12, dtype=torch.float64))
        # As good as independent draws: the estimate is the mean of the costs, its baseline the mean of the others.
        torch.testing.assert_close(first * 1e-12, torch.full((1, 20), 1 / 20).double())
        off = ~torch.eye(20, dtype=torch.bool)
        torch.testing.assert_close(second[0][off] * 1e-12, torch.full((380,), 1 / 19).double())

    def test_blocks_are_one_whole(self, monkeypatch: pytest.MonkeyPatch) -> None:
        p = torch.rand(50, 3, dtype=torch.float64) / 4
        whole = leave_one_out_ratios(p)
        monkeypatch.setattr("drawgrad.estimators.structured.inclusion.BLOCK", 3 * 150 * 7)
        torch.testing.assert_close(leave_one_out_ratios(p), whole)
