"""Trees of coins, against loops over all coins."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from drawgrad.estimators.antithetic.coin_trees import Pair, balanced_pair, stick_pair
from drawgrad.functional import logistic_noise

STICK = {size: [({n}, set(range(n + 1, size))) for n in range(size - 1)] for size in range(1, 7)}
"""The branches of each coin: classes to the left, classes to the right."""


def halved(first: int, size: int, classes: int) -> list[tuple[set[int], set[int]]]:
    """The same for a tree that is balanced up to classes that are missing at its end."""
    if size == 1 or first >= classes:
        return []
    half, there = size // 2, set(range(classes))
    branches = set(range(first, first + half)) & there, set(range(first + half, first + size)) & there
    below = halved(first, half, classes) + halved(first + half, half, classes)
    return [branches, *below] if all(branches) else below


BALANCED = {size: halved(0, 8, size) for size in range(1, 7)}


Draw = Callable[[Tensor, Callable[[int], Tensor]], Pair]


def tossed(draw: Draw, logits: Tensor) -> Pair:
    return draw(logits, lambda coins: logistic_noise((*logits.shape[:-1], coins), dtype=logits.dtype, seed=7))


class TestTrees:
    """Every outcome of every coin: what the weight of a pair of classes must be on average."""

    @staticmethod
    def expected(logits: Tensor, coins: list[tuple[set[int], set[int]]]) -> tuple[Tensor, Tensor]:
        """Probabilities of all pairs of classes, and their mean weights times these."""
        classes = len(logits)
        odds = [logits[sorted(left)].logsumexp(0) - logits[sorted(right)].logsumexp(0) for left, right in coins]
        slopes = [torch.autograd.grad(coin, logits, retain_graph=True)[0] for coin in odds]
        probability = torch.zeros(classes, classes, dtype=torch.float64)
        weight = torch.zeros(classes, classes, classes, dtype=torch.float64)

        def arrive(heads: tuple[bool, ...]) -> int:
            left_over = set(range(classes))
            for (left, right), head in zip(coins, heads, strict=True):
                if left <= left_over and right <= left_over:
                    left_over = left if head else right
            (found,) = left_over
            return found

        for outcome in itertools.product(
            [(True, True), (True, False), (False, True), (False, False)], repeat=len(odds)
        ):
            p = torch.ones((), dtype=torch.float64)
            found = torch.zeros(classes, dtype=torch.float64)
            for coin, slope, (b, other) in zip(odds, slopes, outcome, strict=True):
                head = coin.detach().sigmoid()
                if b != other:
                    p = p * torch.minimum(head, 1 - head)
                    found = found + 0.5 * (int(b) - int(other)) * torch.maximum(head, 1 - head) * slope
                else:
                    p = p * (2 * (head if b else 1 - head) - 1).clamp_min(0)
            ends = arrive(tuple(b for b, _ in outcome)), arrive(tuple(other for _, other in outcome))
            probability[ends] += p
            weight[ends] += p * found
        return probability, weight

    @pytest.mark.parametrize("classes", [1, 2, 3, 4, 5, 6])
    @pytest.mark.parametrize(("draw", "coins"), [(stick_pair, STICK), (balanced_pair, BALANCED)])
    def test_weights_are_means_over_coins_that_do_not_show(
        self, draw: Draw, coins: dict[int, list[tuple[set[int], set[int]]]], classes: int
    ) -> None:
        logits = torch.randn(classes, generator=torch.Generator().manual_seed(classes), dtype=torch.float64)
        probability, weight = self.expected(logits.requires_grad_(), coins[classes])
        torch.testing.assert_close(probability.sum(1), logits.detach().softmax(0))
        pair = tossed(draw, logits.detach().expand(5000, classes))
        seen = probability[pair.first, pair.second]
        assert bool((seen > 0).all())
        # A pair that is all but certain to occur among these draws must be among them.
        occurred = torch.zeros(classes, classes, dtype=torch.bool)
        occurred[pair.first, pair.second] = True
        assert bool(occurred[probability > 0.01].all())
        different = pair.first != pair.second
        torch.testing.assert_close(pair.weight[different], (weight[pair.first, pair.second] / seen[:, None])[different])

    @pytest.mark.parametrize("draw", [stick_pair, balanced_pair])
    def test_classes_that_cannot_occur_are_as_good_as_absent(self, draw: Draw) -> None:
        logits = torch.tensor([-torch.inf, 0.3, -torch.inf, -torch.inf, 1.0, -0.5, -torch.inf], dtype=torch.float64)
        allowed = logits > -torch.inf
        pair = tossed(draw, logits.expand(1000, 7))
        assert bool(allowed[pair.first].all() & allowed[pair.second].all())
        assert bool(pair.weight.isfinite().all())
        assert bool((pair.weight[:, ~allowed] == 0).all())

    @pytest.mark.parametrize("draw", [stick_pair, balanced_pair])
    @pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
    def test_extreme_odds_leave_finite_weights(self, draw: Draw, dtype: torch.dtype) -> None:
        rows = torch.tensor([[1e4, 0, -1e4, 3], [-1e4, -1e4, 0, 0], [0, 1e4, 1e4, 0], [0, -30, -60, -90]], dtype=dtype)
        pair = tossed(draw, rows.repeat(1000, 1))
        assert bool(pair.weight.isfinite().all())
        assert pair.weight.abs().max() <= 1
