"""Draws without replacement against enumeration, and the relaxed sets that share their noise."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
import torch
from torch import Tensor

from drawgrad.functional import gumbel_max, gumbel_noise, gumbel_top_k, relaxed_top_k
from tests.statistics import assert_frequencies

DTYPES = [torch.float16, torch.bfloat16, torch.float32, torch.float64]
LOGITS = torch.tensor([1.0, -0.5, 0.3, 0.0], dtype=torch.float64)


def random_logits(*shape: int, dtype: torch.dtype = torch.float64) -> Tensor:
    return 2 * torch.randn(shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64).to(dtype)


def probability(ranking: tuple[int, ...], p: list[float]) -> float:
    """Of drawing this ranking: a product over its places, in plain arithmetic."""
    chance, left = 1.0, sum(p)
    for index in ranking:
        chance *= p[index] / left
        left -= p[index]
    return chance


class TestTopK:
    DRAWS = 60_000

    @pytest.mark.parametrize("k", [1, 2, 3, 4])
    def test_draws_without_replacement(self, k: int) -> None:
        drawn = gumbel_top_k(LOGITS.expand(self.DRAWS, 4), k, seed=1)
        rankings = list(itertools.permutations(range(4), k))
        counts = torch.stack([(drawn == torch.tensor(each)).all(-1).sum() for each in rankings])
        assert int(counts.sum()) == self.DRAWS
        p = LOGITS.softmax(-1).tolist()
        expected = torch.tensor([probability(each, p) for each in rankings])
        assert_frequencies(counts, expected, resolution=0.02)
        flat = torch.tensor([probability(each, [0.25] * 4) for each in rankings])
        with pytest.raises(AssertionError, match="chi-square"):
            assert_frequencies(counts, flat, resolution=0.02)

    @pytest.mark.parametrize("dtype", DTYPES)
    @pytest.mark.parametrize(
        ("shape", "dim"), [((5,), 0), ((3, 5), -1), ((5, 3), 0), ((2, 5, 3), 1), ((0, 5), 1), ((2, 33), 1)]
    )
    def test_is_the_order_of_the_perturbed_logits(self, shape: tuple[int, ...], dim: int, dtype: torch.dtype) -> None:
        logits = random_logits(*shape, dtype=dtype)
        index, values = gumbel_top_k(logits, 3, dim, seed=2, perturbed=True)
        assert torch.equal(index, gumbel_top_k(logits, 3, dim, seed=2))
        wide = torch.float64 if dtype == torch.float64 else torch.float32
        last = logits.movedim(dim, -1)
        scores = last.to(wide) + gumbel_noise(last.shape, dtype=wide, seed=2)
        assert index.dtype == torch.int64
        assert values.dtype == wide
        assert torch.equal(values.movedim(dim, -1), scores.sort(-1, descending=True)[0][..., :3])
        assert torch.equal(scores.gather(-1, index.movedim(dim, -1)), values.movedim(dim, -1))
        assert torch.equal(index.movedim(dim, -1)[..., 0], gumbel_max(logits, dim, seed=2))

    def test_each_row_may_have_its_own_k(self) -> None:
        logits, k = random_logits(3, 5), torch.tensor([0, 4, 2])
        index, values = gumbel_top_k(logits, k, seed=0, perturbed=True)
        assert index.shape == (3, 4)
        whole = gumbel_top_k(logits, 4, seed=0)
        for row, count in enumerate(k.tolist()):
            assert torch.equal(index[row, :count], whole[row, :count])
            assert bool((index[row, count:] == -1).all())
            assert bool((values[row, count:] == -torch.inf).all())
        assert gumbel_top_k(logits[:0], k[:0], seed=0).shape == (0, 0)

    def test_forbidden_classes_are_never_drawn(self) -> None:
        mask = torch.tensor([True, False, True, False, True])
        logits = random_logits(50, 5)
        index, values = gumbel_top_k(logits, 4, mask=mask, seed=0, perturbed=True)
        assert bool(mask[index[:, :3]].all())
        assert bool((index[:, 3] == -1).all())
        assert bool((values[:, 3] == -torch.inf).all())
        assert torch.equal(index, gumbel_top_k(torch.where(mask, logits, -torch.inf), 4, seed=0))
        assert bool((gumbel_top_k(logits, 2, mask=~mask & mask, seed=0) == -1).all())

    def test_the_values_carry_the_gradient(self) -> None:
        logits = random_logits(3, 5).requires_grad_()
        index, values = gumbel_top_k(logits, 2, seed=0, perturbed=True)
        (found,) = torch.autograd.grad(values[:, 0].sum() + 3 * values[:, 1].sum(), logits)
        expected = torch.zeros_like(logits).scatter(-1, index, torch.tensor([[1.0, 3.0]]).double().expand(3, 2))
        assert torch.equal(found, expected)

    def test_parts_are_drawn_as_the_whole(self) -> None:
        logits = random_logits(4, 6)
        whole, values = gumbel_top_k(logits, 3, seed=5, perturbed=True)
        assert torch.equal(gumbel_top_k(logits[2:], 3, seed=5, row_offset=2), whole[2:])
        # The best of two shards are the best of all.
        halves = [gumbel_top_k(logits[:, at : at + 3], 3, seed=5, class_offset=at, perturbed=True) for at in (0, 3)]
        together = torch.cat([scores for _, scores in halves], -1).topk(3, -1)[0]
        assert torch.equal(together, values)
        first, second = (gumbel_top_k(logits, 3, generator=torch.Generator().manual_seed(1)) for _ in range(2))
        assert torch.equal(first, second)

    def test_mistakes_are_refused(self) -> None:
        logits = torch.zeros(2, 3)
        for k, error, message in (
            (4, ValueError, "k must be between 0 and the number of classes, 3, but it is 4"),
            (-1, ValueError, "k must be at least 0"),
            (torch.tensor([1, 4]), ValueError, "but it is 4"),
            (torch.tensor([-1, 2]), ValueError, "but it is -1"),
            (torch.tensor([1]), ValueError, r"of the shape of the logits without their classes, \(2,\)"),
            (1.0, TypeError, "k must be an integer"),
        ):
            with pytest.raises(error, match=message):
                gumbel_top_k(logits, k)  # type: ignore[call-overload]
        with pytest.raises(TypeError, match="floating dtype"):
            gumbel_top_k(logits.long(), 1)
        with pytest.raises(IndexError, match="dim must be in"):
            gumbel_top_k(logits, 1, 2)


class TestRelaxed:
    @pytest.mark.parametrize("dtype", DTYPES)
    @pytest.mark.parametrize("tau", [1e-6, 0.1, 0.5, 1.0, 1e3])
    @pytest.mark.parametrize(("classes", "k"), [(1, 0), (1, 1), (2, 1), (5, 3), (33, 7), (5, 5)])
    def test_fills_the_set(self, classes: int, k: int, tau: float, dtype: torch.dtype) -> None:
        for scale in (1.0, 5e3):  # Twice as large as float16 can hold would be infinite.
            logits = (scale * random_logits(20, classes)).to(dtype).requires_grad_()
            soft = relaxed_top_k(logits, k, tau, seed=1)
            assert soft.dtype == dtype
            assert bool(((soft >= 0) & (soft <= 1)).all())
            tolerance = 1e-5 + classes * torch.finfo(dtype).eps
            torch.testing.assert_close(soft.sum(-1).float(), torch.full((20,), float(k)), rtol=0.0, atol=tolerance)
            hard = relaxed_top_k(logits, k, tau, hard=True, seed=1)
            assert torch.equal(hard.sum(-1), torch.full_like(hard[:, 0], k))
            assert bool((hard.gather(-1, gumbel_top_k(logits, k, seed=1)) == 1).all())
            if soft.requires_grad:
                weight = torch.randn(classes, dtype=dtype)
                ours, theirs = (torch.autograd.grad((weight * y).sum(), logits)[0] for y in (hard, soft))
                assert bool(ours.isfinite().all())
                torch.testing.assert_close(ours, theirs)

    def test_is_the_published_sum_where_that_is_a_set(self) -> None:
        logits, tau = random_logits(2000, 6), 0.5
        alpha = logits + gumbel_noise(logits.shape, dtype=torch.float64, seed=3)
        expected = torch.zeros_like(logits)
        for _ in range(3):
            share = (alpha / tau).softmax(-1)
            expected += share
            alpha = alpha + torch.log1p(-share)
        inside = (expected <= 1).all(-1)
        found = relaxed_top_k(logits, 3, tau, seed=3)
        assert 20 < int(inside.sum()) < 1980
        torch.testing.assert_close(found[inside], expected[inside])
        # Elsewhere the entries below one keep their ratios, and the largest is one.
        for ours, sums in zip(found[~inside], expected[~inside], strict=True):
            free = ours < 1
            assert bool((~free).any())
            ratio = ours[free] / sums[free]
            torch.testing.assert_close(ratio, ratio[:1].expand_as(ratio))
            assert bool((sums[~free] * ratio[0] >= 1 - 1e-12).all())

    def test_a_low_temperature_is_the_hard_set(self) -> None:
        logits = random_logits(200, 6)
        soft = relaxed_top_k(logits, 3, 1e-4, seed=3)
        torch.testing.assert_close(soft, relaxed_top_k(logits, 3, hard=True, seed=3), atol=1e-3, rtol=0.0)

    def test_gradients_are_those_of_finite_differences(self) -> None:
        logits = random_logits(3, 5).requires_grad_()
        tau = torch.tensor([[0.4], [0.7], [2.0]], dtype=torch.float64, requires_grad=True)
        assert torch.autograd.gradcheck(lambda x, t: relaxed_top_k(x, 2, t, seed=1), (logits, tau))
        assert torch.autograd.gradgradcheck(lambda x, t: relaxed_top_k(x, 2, t, seed=1), (logits, tau))
        mask = torch.tensor([True, True, False, True, True])
        (found,) = torch.autograd.grad(relaxed_top_k(logits, 2, 0.5, mask=mask, seed=1)[:, 0].sum(), logits)
        assert bool(found.isfinite().all())
        assert bool((found[:, 2] == 0).all())

    def test_forbidden_classes_have_no_share(self) -> None:
        mask = torch.tensor([[True, True, False, True], [True, False, False, False], [False] * 4])
        soft = relaxed_top_k(random_logits(3, 4).requires_grad_(), 2, 0.5, mask=mask, seed=0)
        assert bool((soft[~mask] == 0).all())
        torch.testing.assert_close(soft.sum(-1), torch.tensor([2.0, 1.0, 0.0], dtype=torch.float64))
        assert torch.equal(soft[1], mask[1].double())
        hard = relaxed_top_k(random_logits(3, 4), 2, 0.5, hard=True, mask=mask, seed=0)
        assert hard.sum(-1).tolist() == [2, 1, 0]
        assert bool((hard[~mask] == 0).all())

    def test_nan_stays_in_its_row(self) -> None:
        logits = random_logits(2, 4)
        logits[0, 1] = torch.nan
        for hard in (False, True):
            sample = relaxed_top_k(logits, 2, 0.5, hard=hard, seed=0)
            assert bool(sample[0].isnan().all())
            alone = relaxed_top_k(logits[1:], 2, 0.5, hard=hard, seed=0, row_offset=1)[0]
            torch.testing.assert_close(sample[1], alone)

    @pytest.mark.parametrize("dim", [0, 1, -1])
    def test_classes_may_be_along_any_dimension(self, dim: int) -> None:
        logits = random_logits(4, 5, 3)
        sample = relaxed_top_k(logits, 2, torch.tensor(0.5), dim=dim, seed=0)
        moved = relaxed_top_k(logits.movedim(dim, -1).contiguous(), 2, 0.5, seed=0)
        torch.testing.assert_close(sample, moved.movedim(-1, dim))

    @pytest.mark.parametrize(
        ("arguments", "error", "message"),
        [
            ({"k": 4}, ValueError, "k must be between 0 and the number of classes"),
            ({"k": -1}, ValueError, "k must be at least 0"),
            ({"k": torch.tensor([1, 1])}, TypeError, "k must be an integer"),
            ({"k": 1, "tau": 0.0}, ValueError, "tau must be positive and finite"),
            ({"k": 1, "tau": torch.ones(2, 3)}, ValueError, "with one temperature a row"),
            ({"k": 1, "hard": 1}, TypeError, "hard must be True or False"),
        ],
    )
    def test_mistakes_are_refused(self, arguments: dict[str, Any], error: type[Exception], message: str) -> None:
        with pytest.raises(error, match=message):
            relaxed_top_k(torch.zeros(2, 3), **arguments)
