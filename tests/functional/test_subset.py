"""Random subsets of a given size, against the enumeration of all of them."""

from __future__ import annotations

import itertools

import pytest
import torch
from torch import Tensor

from drawgrad.functional import log_esp, subset_marginals, subset_sample
from tests.statistics import assert_frequencies

DTYPES = [torch.float16, torch.bfloat16, torch.float32, torch.float64]
SIZES = [(classes, k) for classes in (1, 2, 5, 7) for k in range(classes + 1)]


def subsets(classes: int, k: int) -> Tensor:
    chosen = list(itertools.combinations(range(classes), k))
    return torch.stack([torch.eye(classes, dtype=torch.float64)[list(each)].sum(0) for each in chosen])


def by_enumeration(logits: Tensor, k: int) -> tuple[Tensor, Tensor, Tensor]:
    """Log-normalizer, marginals and the probability of each subset, for one row or many."""
    z = subsets(logits.shape[-1], k)
    each = torch.where(z == 1, logits.double()[..., None, :], 0.0).sum(-1)
    p = each.softmax(-1)
    return each.logsumexp(-1), p @ z, p


def random_logits(*shape: int, dtype: torch.dtype = torch.float64) -> Tensor:
    return 3 * torch.randn(shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64).to(dtype)


class TestLaw:
    @pytest.mark.parametrize("batch", [(), (3,), (2, 3)])
    @pytest.mark.parametrize(("classes", "k"), SIZES)
    def test_is_that_of_enumeration(self, classes: int, k: int, batch: tuple[int, ...]) -> None:
        logits = random_logits(*batch, classes)
        normalizer, marginals, _ = by_enumeration(logits, k)
        torch.testing.assert_close(log_esp(logits, k), normalizer, rtol=1e-12, atol=1e-12)
        torch.testing.assert_close(subset_marginals(logits, k), marginals, rtol=1e-11, atol=1e-300)

    def test_small_marginals_keep_their_precision(self) -> None:
        logits = torch.tensor([60.0, 0.0, -40.0, -80.0, 0.5], dtype=torch.float64)
        for k in range(1, 5):
            _, marginals, _ = by_enumeration(logits, k)
            assert marginals.min() < 1e-17
            torch.testing.assert_close(subset_marginals(logits, k), marginals, rtol=1e-11, atol=0.0)

    def test_extreme_logits(self) -> None:
        logits = torch.tensor([1e4, 0.0, 0.0, -1e4, 1e4, 3.0], dtype=torch.float64)
        for scale in (1.0, 1e26):
            for k in range(7):
                normalizer, marginals, _ = by_enumeration(scale * logits, k)
                torch.testing.assert_close(log_esp(scale * logits, k), normalizer, rtol=1e-12, atol=1e-11)
                torch.testing.assert_close(subset_marginals(scale * logits, k), marginals, rtol=1e-10, atol=0.0)

    @pytest.mark.parametrize("dtype", DTYPES)
    def test_a_narrow_dtype_costs_its_own_rounding_only(self, dtype: torch.dtype) -> None:
        logits = random_logits(1000, dtype=dtype)
        for k in (1, 50, 999):
            right = subset_marginals(logits.double(), k)
            found = subset_marginals(logits, k)
            assert found.dtype == dtype
            assert bool(found.isfinite().all())
            if dtype == torch.float32:
                assert (found.double() / right - 1).abs().max() < 1e-6
            else:
                torch.testing.assert_close(found.double(), right, rtol=torch.finfo(dtype).eps, atol=1e-7)
            assert log_esp(logits, k) == log_esp(logits.double(), k).to(dtype)

    def test_large_sets_agree_with_the_recursion_over_classes(self) -> None:
        """The textbook recursion e_j(n) = e_j(n - 1) + w_n e_(j - 1)(n - 1), in log space."""
        logits, k = random_logits(300), 40
        table = torch.full((k + 1,), -torch.inf, dtype=torch.float64)
        table[0] = 0.0
        for logit in logits:
            table = torch.logaddexp(table, torch.cat([table.new_tensor([-torch.inf]), table[:-1] + logit]))
        torch.testing.assert_close(log_esp(logits, k), table[k], rtol=1e-13, atol=0.0)
        torch.testing.assert_close(subset_marginals(logits, k).sum(), logits.new_tensor(40.0))


class TestGradients:
    @pytest.mark.parametrize("k", [0, 1, 3, 5])
    def test_are_those_of_finite_differences(self, k: int) -> None:
        logits = random_logits(2, 5).requires_grad_()
        for function in (log_esp, subset_marginals):
            assert torch.autograd.gradcheck(lambda x, f=function: f(x, k), logits)
            assert torch.autograd.gradgradcheck(lambda x, f=function: f(x, k), logits)

    def test_of_the_normalizer_are_the_marginals(self) -> None:
        logits = random_logits(50).requires_grad_()
        (found,) = torch.autograd.grad(log_esp(logits, 7), logits)
        torch.testing.assert_close(found, subset_marginals(logits, 7))

    def test_a_forbidden_class_has_none(self) -> None:
        logits = torch.tensor([0.0, -torch.inf, 1.0, 2.0], dtype=torch.float64, requires_grad=True)
        weight = torch.arange(4.0)
        for value in (log_esp(logits, 2), (weight * subset_marginals(logits, 2)).sum()):
            (found,) = torch.autograd.grad(value, logits)
            assert bool(found.isfinite().all())
            assert found[1] == 0
            assert bool((found[[0, 2, 3]] != 0).all())

    def test_mapped_ones_are_those_of_a_loop(self) -> None:
        logits = random_logits(3, 6)

        def weighted(row: Tensor) -> Tensor:
            return (subset_marginals(row, 2) * torch.arange(6.0)).sum()

        mapped = torch.func.vmap(torch.func.grad(weighted))(logits)
        torch.testing.assert_close(mapped, torch.stack([torch.func.grad(weighted)(row) for row in logits]))


class TestMasks:
    def test_are_logits_of_minus_infinity(self) -> None:
        logits = random_logits(3, 5)
        mask = torch.tensor([True, False, True, True, True])
        forbidden = torch.where(mask, logits, -torch.inf)
        for k in range(5):
            inside = subset_marginals(logits, k, mask=mask)
            assert torch.equal(inside, subset_marginals(forbidden, k))
            assert bool((inside[:, 1] == 0).all())
            torch.testing.assert_close(inside[:, mask], subset_marginals(logits[:, mask], k))
            torch.testing.assert_close(log_esp(logits, k, mask=mask), log_esp(logits[:, mask], k))
            drawn = subset_sample(logits, k, mask=mask, seed=0)
            assert torch.equal(drawn, subset_sample(forbidden, k, seed=0))
            assert bool((drawn[:, 1] == 0).all())

    def test_too_few_classes_stay_in_their_row(self) -> None:
        logits = random_logits(2, 4).requires_grad_()
        mask = torch.tensor([[True, False, False, False], [True] * 4])
        assert log_esp(logits, 2, mask=mask)[0] == -torch.inf
        marginals = subset_marginals(logits, 2, mask=mask)
        assert bool((marginals[0] == 0).all())
        torch.testing.assert_close(marginals[1], subset_marginals(logits[1], 2))
        (found,) = torch.autograd.grad(marginals.square().sum() + log_esp(logits, 2, mask=mask)[1], logits)
        assert bool(found.isfinite().all())
        assert subset_sample(logits, 2, mask=mask, seed=0).sum(-1).tolist() == [0, 2]

    def test_nothing_is_allowed_and_nothing_wanted(self) -> None:
        logits = torch.full((2, 3), -torch.inf)
        assert log_esp(logits, 0).tolist() == [0.0, 0.0]
        assert bool((subset_marginals(logits, 0) == 0).all())

    def test_nan_stays_in_its_row(self) -> None:
        logits = random_logits(2, 4)
        logits[0, 1] = torch.nan
        assert log_esp(logits, 2).isnan().tolist() == [True, False]
        for result in (subset_marginals(logits, 2), subset_sample(logits, 2, seed=0)):
            assert bool(result[0].isnan().all())
            torch.testing.assert_close(result[1].sum(), logits.new_tensor(2.0))


class TestSamples:
    DRAWS = 60_000

    @pytest.mark.parametrize(("classes", "k"), [(2, 1), (5, 2), (6, 3), (5, 4)])
    def test_follow_the_law(self, classes: int, k: int) -> None:
        logits = random_logits(classes) / 2
        _, _, p = by_enumeration(logits, k)
        drawn = subset_sample(logits.expand(self.DRAWS, classes), k, seed=3)
        assert bool((drawn.sum(-1) == k).all())
        counts = (drawn @ subsets(classes, k).T == k).sum(0)
        assert_frequencies(counts, p, resolution=0.02)
        with pytest.raises(AssertionError, match="chi-square"):
            assert_frequencies(counts, by_enumeration(logits * 1.2, k)[2], resolution=0.02)

    def test_of_the_whole_set_and_of_nothing(self) -> None:
        assert subset_sample(random_logits(3, 5), 5, seed=0).unique().tolist() == [1]
        assert subset_sample(random_logits(3, 5), 0, seed=0).unique().tolist() == [0]

    def test_the_seed_decides_and_rows_can_be_drawn_apart(self) -> None:
        logits = random_logits(4, 6)
        whole = subset_sample(logits, 2, seed=7)
        assert torch.equal(whole, subset_sample(logits, 2, seed=torch.tensor(7)))
        assert torch.equal(whole[1:], subset_sample(logits[1:], 2, seed=7, row_offset=1))
        assert not torch.equal(whole, subset_sample(logits, 2, seed=8))
        many, same = logits.expand(10, 4, 6), logits.expand(10, 4, 6).clone()
        assert torch.equal(subset_sample(many, 2, seed=7), subset_sample(same, 2, seed=7))
        first, second = (
            subset_sample(logits, 2, generator=torch.Generator().manual_seed(1)),
            subset_sample(logits, 2, generator=torch.Generator().manual_seed(1)),
        )
        assert torch.equal(first, second)

    @pytest.mark.parametrize("dtype", DTYPES)
    def test_have_the_dtype_and_no_gradient(self, dtype: torch.dtype) -> None:
        drawn = subset_sample(random_logits(3, 5, dtype=dtype).requires_grad_(), 2, seed=0)
        assert drawn.dtype == dtype
        assert not drawn.requires_grad


class TestEdges:
    @pytest.mark.parametrize("shape", [(0, 4), (2, 0, 4), (0, 0), (3, 0)])
    def test_empty_batches_and_rows(self, shape: tuple[int, ...]) -> None:
        logits, k = torch.zeros(shape), min(2, shape[-1])
        assert log_esp(logits, k).shape == shape[:-1]
        assert subset_marginals(logits, k).shape == subset_sample(logits, k, seed=0).shape == shape

    def test_layout_makes_no_difference(self) -> None:
        logits = random_logits(6, 3).T
        assert not logits.is_contiguous()
        torch.testing.assert_close(subset_marginals(logits, 2), subset_marginals(logits.contiguous(), 2))
        assert torch.equal(subset_sample(logits, 2, seed=1), subset_sample(logits.contiguous(), 2, seed=1))

    @pytest.mark.parametrize("function", [log_esp, subset_marginals, subset_sample])
    def test_mistakes_are_refused(self, function) -> None:  # type: ignore[no-untyped-def]
        logits = torch.zeros(2, 3)
        with pytest.raises(ValueError, match="k must be at most the number of classes, 3, but it is 4"):
            function(logits, 4)
        with pytest.raises(ValueError, match="k must be at least 0, but it is -1"):
            function(logits, -1)
        with pytest.raises(TypeError, match="k must be an integer"):
            function(logits, 1.5)
        with pytest.raises(TypeError, match="logits must be of a floating dtype"):
            function(logits.long(), 1)
        with pytest.raises(ValueError, match="0-dim"):
            function(torch.tensor(1.0), 1)
        with pytest.raises(ValueError, match="mask must broadcast"):
            function(logits, 1, mask=torch.ones(2, dtype=torch.bool))
