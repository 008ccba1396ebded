"""Ratios of inclusion probabilities, against all orders of the draws."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import pytest
import torch
from torch import Tensor

from drawgrad.estimators.structured.inclusion import inclusion_weights


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


def weights_of(p: Tensor) -> tuple[Tensor, Tensor]:
    return inclusion_weights(p.log(), (1 - p.sum(-1)).clamp_min(0))


class TestWeights:
    CASES = ((5, 2, 1.0), (6, 3, 2.0), (6, 4, 3.0), (5, 5, 1.0), (8, 4, 5.0))

    @pytest.mark.parametrize(("states", "size", "scale"), CASES)
    def test_are_those_of_all_orders(self, states: int, size: int, scale: float) -> None:
        p = (torch.randn(states, dtype=torch.float64) * scale).softmax(0)
        sets = list(itertools.combinations(range(states), size))
        first, second = weights_of(p[torch.tensor(sets)])
        for row, drawn in enumerate(sets):
            whole = probability(p.tolist(), drawn)
            for i, s in enumerate(drawn):
                without = probability(p.tolist(), drawn, (s,))
                assert first[row, i].item() == pytest.approx(p[s].item() * without / whole, rel=1e-7)
                for j, t in enumerate(drawn):
                    expected = 1.0 if i == j else probability(p.tolist(), drawn, (s, t)) / without
                    assert second[row, i, j].item() == pytest.approx(p[t].item() * expected, rel=1e-7)

    @pytest.mark.parametrize(("states", "size", "scale"), CASES)
    def test_make_the_estimate_exact_on_average_over_all_sets(self, states: int, size: int, scale: float) -> None:
        """The theorem itself, without a sample: value and gradient, weighted by the probability of each set."""
        p = (torch.randn(states, dtype=torch.float64) * scale).softmax(0)
        f = torch.randn(states, dtype=torch.float64) + 3
        sets = list(itertools.combinations(range(states), size))
        index = torch.tensor(sets)
        first, second = weights_of(p[index])
        chance = torch.tensor([probability(p.tolist(), drawn) for drawn in sets], dtype=torch.float64)
        assert chance.sum().item() == pytest.approx(1)
        baseline = (second * f[index][:, None]).sum(-1)
        weights = chance[:, None] * first
        assert (weights * f[index]).sum().item() == pytest.approx((p @ f).item(), rel=1e-8)
        score = torch.eye(states, dtype=torch.float64)[index] - p
        found = ((weights * (f[index] - baseline))[..., None] * score).sum((0, 1))
        torch.testing.assert_close(found, p * (f - p @ f), rtol=1e-7, atol=1e-9)

    def test_of_a_set_that_holds_everything_are_the_probabilities(self) -> None:
        for p in ([1.0], [0.3, 0.7], [1.0, 0.0], [1 - 1e-12, 1e-12]):
            given = torch.tensor([p], dtype=torch.float64)
            first, second = inclusion_weights(given.log(), torch.zeros(1, dtype=torch.float64))
            torch.testing.assert_close(first, given)
            torch.testing.assert_close(second, given[:, None].expand(1, len(p), len(p)))

    @pytest.mark.parametrize("log_p", [-7.0, -30.0, -700.0, -800.0, -1e5])
    @pytest.mark.parametrize("size", [2, 20, 130])
    def test_of_many_rare_states_do_not_vanish(self, log_p: float, size: int) -> None:
        given = torch.full((1, size), log_p, dtype=torch.float64)
        first, second = inclusion_weights(given, 1 - given.exp().sum(-1))
        # Alike, so each counts for as much; of the others, as much as of those that are left.
        torch.testing.assert_close(first, torch.full((1, size), 1 / size).double())
        off = ~torch.eye(size, dtype=torch.bool)
        left = (1 - given[0, 0].exp()) / (size - 1)
        torch.testing.assert_close(second[0][off], left.expand(size * (size - 1)))

    def test_blocks_are_one_whole(self, monkeypatch: pytest.MonkeyPatch) -> None:
        p = torch.rand(50, 3, dtype=torch.float64) / 4
        whole = weights_of(p)
        monkeypatch.setattr("drawgrad.estimators.structured.inclusion.BLOCK", 3 * 150 * 7)
        torch.testing.assert_close(weights_of(p), whole)
