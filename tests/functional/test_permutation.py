"""Relaxed matchings: sums, gradients, masks; hard ones against all permutations."""

from __future__ import annotations

import builtins
import itertools
import warnings
from typing import Any

import pytest
import torch
from torch import Tensor

from drawgrad.functional import assignment, gumbel_noise, gumbel_sinkhorn, sinkhorn
from tests.statistics import assert_frequencies

DTYPES = [torch.float16, torch.bfloat16, torch.float32, torch.float64]
BACKWARD = ["implicit", "unrolled"]


def random_scores(*shape: int, dtype: torch.dtype = torch.float64) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64).to(dtype)


def best(scores: Tensor) -> Tensor:
    """The permutation matrix of the largest total, by trying all."""
    n = len(scores)
    chosen = max(itertools.permutations(range(n)), key=lambda p: sum(scores[i, j].item() for i, j in enumerate(p)))
    return torch.eye(n, dtype=scores.dtype)[list(chosen)]


class TestSinkhorn:
    @pytest.mark.parametrize("dtype", DTYPES)
    @pytest.mark.parametrize("shape", [(1, 1), (4, 4), (2, 5, 5), (2, 3, 4, 4), (0, 3, 3), (2, 33, 33)])
    def test_sums_are_one(self, shape: tuple[int, ...], dtype: torch.dtype) -> None:
        scores = random_scores(*shape, dtype=dtype)
        found = sinkhorn(scores, 0.5)
        assert found.converged
        assert found.matrix.dtype == dtype
        assert found.deviation.shape == shape[:-2]
        assert bool((found.deviation <= 1e-6).all())
        tolerance = 1e-5 + torch.finfo(dtype).eps * shape[-1] ** 0.5
        for side in (-1, -2):
            sums = found.matrix.double().sum(side)
            torch.testing.assert_close(sums, torch.ones_like(sums), rtol=0.0, atol=tolerance)

    def test_is_scores_with_a_factor_for_each_row_and_column(self) -> None:
        scores, tau = random_scores(4, 4), 0.3
        P = sinkhorn(scores, tau, tolerance=1e-12).matrix
        ratio = P.log() - scores / tau
        torch.testing.assert_close(ratio, ratio[:1] + ratio[:, :1] - ratio[:1, :1])

    @pytest.mark.parametrize("shape", [(3, 5), (5, 3), (1, 4), (4, 1)])
    def test_rectangles_are_squares_with_rows_or_columns_of_zeros(self, shape: tuple[int, int]) -> None:
        scores = random_scores(2, *shape)
        square = torch.nn.functional.pad(scores, (0, max(0, shape[0] - shape[1]), 0, max(0, shape[1] - shape[0])))
        part = sinkhorn(scores, 0.5, tolerance=1e-12).matrix
        whole = sinkhorn(square, 0.5, tolerance=1e-12).matrix
        torch.testing.assert_close(part, whole[:, : shape[0], : shape[1]])
        short, long = (-1, -2) if shape[0] < shape[1] else (-2, -1)
        torch.testing.assert_close(part.sum(short), torch.ones_like(part.sum(short)))
        assert bool((part.sum(long) <= 1 + 1e-9).all())

    def test_forbidden_pairs_are_zero_and_rows_without_pairs_are_not_there(self) -> None:
        scores = random_scores(4, 4)
        mask = torch.ones(4, 4, dtype=torch.bool)
        mask[0, 1] = mask[2, :] = mask[:, 3] = False
        P = sinkhorn(scores, 0.5, mask=mask, tolerance=1e-12).matrix
        assert bool((P[~mask] == 0).all())
        keep = torch.tensor([0, 1, 3])
        small = torch.where(mask, scores, -torch.inf)[keep][:, :3]
        torch.testing.assert_close(P[keep][:, :3], sinkhorn(small, 0.5, tolerance=1e-12).matrix)
        assert torch.equal(P, sinkhorn(torch.where(mask, scores, -torch.inf), 0.5, mask=mask, tolerance=1e-12).matrix)

    @pytest.mark.parametrize("backward", BACKWARD)
    @pytest.mark.parametrize("shape", [(3, 3), (2, 2, 3), (3, 2)])
    def test_gradients_are_those_of_finite_differences(self, shape: tuple[int, ...], backward: Any) -> None:
        scores = random_scores(*shape).requires_grad_()
        tau = torch.full((*[1] * (len(shape) - 2), 1, 1), 0.7, dtype=torch.float64, requires_grad=True)
        mask = torch.ones(shape, dtype=torch.bool)
        mask[..., 0, 1] = False

        def matrix(s: Tensor, t: Tensor) -> Tensor:
            return sinkhorn(s, t, tolerance=1e-13, backward=backward).matrix

        def masked(s: Tensor) -> Tensor:
            return sinkhorn(s, 0.7, mask=mask, tolerance=1e-13, backward=backward).matrix

        assert torch.autograd.gradcheck(matrix, (scores, tau))
        assert torch.autograd.gradcheck(masked, scores)
        if shape == (3, 3):
            assert torch.autograd.gradgradcheck(matrix, (scores, tau))

    def test_both_ways_back_agree_near_a_permutation(self) -> None:
        weight = random_scores(2, 6, 6)
        found = []
        for backward in BACKWARD:
            scores = (2 * random_scores(2, 6, 6)).requires_grad_()
            P = sinkhorn(scores, 0.5, tolerance=1e-13, max_iterations=3000, backward=backward).matrix  # type: ignore[arg-type]
            found.append(torch.autograd.grad((weight * P).sum(), scores)[0])
        torch.testing.assert_close(*found, rtol=1e-6, atol=1e-9)

    def test_the_implicit_way_keeps_nothing_of_the_iterations(self) -> None:
        def kept(backward: Any, iterations: int) -> int:
            sizes: list[int] = []
            scores = (3 * random_scores(6, 6)).requires_grad_()
            with (
                warnings.catch_warnings(),
                torch.autograd.graph.saved_tensors_hooks(lambda x: sizes.append(x.numel()) or x, lambda x: x),  # type: ignore[func-returns-value]
            ):
                warnings.simplefilter("ignore")
                sinkhorn(scores, 0.5, tolerance=0.0, max_iterations=iterations, backward=backward)
            return sum(sizes)

        assert kept("implicit", 5) == kept("implicit", 50)
        assert kept("unrolled", 50) > 5 * kept("unrolled", 5)

    def test_says_what_is_left(self) -> None:
        scores = 20 * random_scores(2, 8, 8)
        with pytest.warns(RuntimeWarning, match="sinkhorn left row or column sums off by .* after max_iterations = 3"):
            found = sinkhorn(scores, 0.5, max_iterations=3)
        assert not found.converged
        rows, columns = found.matrix.sum(-1) - 1, found.matrix.sum(-2) - 1
        torch.testing.assert_close(found.deviation, torch.maximum(rows.abs().amax(-1), columns.abs().amax(-1)))
        with pytest.warns(RuntimeWarning, match="no number of iterations suffices"):
            # Two rows that only the first column could take.
            sinkhorn(torch.zeros(3, 3), mask=torch.tensor([[True, False, False], [True, False, False], [True] * 3]))

    @pytest.mark.filterwarnings("ignore:sinkhorn left")
    def test_extreme_scores_stay_finite(self) -> None:
        for scale, tau in ((1e4, 1.0), (1.0, 1e-6), (1e4, 1e3)):
            scores = (scale * random_scores(3, 4, 4)).float().requires_grad_()
            for backward in BACKWARD:
                P = sinkhorn(scores, tau, max_iterations=50, backward=backward).matrix  # type: ignore[arg-type]
                (found,) = torch.autograd.grad(P.square().sum(), scores)
                assert bool(P.isfinite().all())
                assert bool(found.isfinite().all())

    def test_nan_stays_in_its_matrix(self) -> None:
        scores = random_scores(2, 3, 3)
        scores[0, 1, 2] = torch.nan
        found = sinkhorn(scores)
        assert bool(found.matrix[0].isnan().any())
        assert not found.converged
        torch.testing.assert_close(found.matrix[1], sinkhorn(scores[1]).matrix, rtol=1e-5, atol=1e-6)

    @pytest.mark.parametrize(
        ("arguments", "error", "message"),
        [
            ({"tau": 0.0}, ValueError, "tau must be positive and finite"),
            ({"tau": torch.ones(3, 1)}, ValueError, "one temperature a matrix"),
            ({"tolerance": -1.0}, ValueError, "tolerance must be finite and not negative"),
            ({"max_iterations": 0}, ValueError, "max_iterations must be at least 1"),
            ({"backward": "explicit"}, ValueError, "backward must be 'implicit' or 'unrolled', but it is 'explicit'"),
            ({"mask": torch.ones(2, dtype=torch.bool)}, ValueError, "mask must broadcast"),
        ],
    )
    def test_mistakes_are_refused(self, arguments: dict[str, Any], error: type[Exception], message: str) -> None:
        with pytest.raises(error, match=message):
            sinkhorn(torch.zeros(3, 3), **arguments)
        with pytest.raises(ValueError, match="scores must be matrices"):
            sinkhorn(torch.zeros(3))
        with pytest.raises(TypeError, match="floating dtype"):
            sinkhorn(torch.zeros(3, 3).long())


class TestAssignment:
    def test_is_the_best_of_all_permutations(self) -> None:
        scores = random_scores(20, 4, 4)
        assert torch.equal(assignment(scores), torch.stack([best(each) for each in scores]))
        assert assignment(random_scores(0, 3, 3)).shape == (0, 3, 3)

    def test_forbidden_pairs_are_avoided(self) -> None:
        scores = torch.tensor([[5.0, 1.0, -torch.inf], [-torch.inf, 9.0, -torch.inf], [-torch.inf] * 3])
        assert assignment(scores).tolist() == [[1, 0, 0], [0, 1, 0], [0, 0, 0]]
        for wrong in ([[0.0, -torch.inf], [0.0, -torch.inf]], [[0.0, 0.0], [-torch.inf, -torch.inf]]):
            with pytest.raises(ValueError, match="scores must allow a permutation, but those of matrix 0 do not"):
                assignment(torch.tensor(wrong))

    def test_nan_stays_in_its_matrix(self) -> None:
        scores = random_scores(2, 3, 3)
        scores[0, 0, 0] = torch.nan
        found = assignment(scores)
        assert bool(found[0].isnan().all())
        assert torch.equal(found[1], best(scores[1]))

    def test_needs_scipy(self, monkeypatch: pytest.MonkeyPatch) -> None:
        real = builtins.__import__

        def without(name: str, *args: Any, **options: Any) -> Any:
            if name.startswith("scipy"):
                raise ImportError(name)
            return real(name, *args, **options)

        monkeypatch.setattr(builtins, "__import__", without)
        with pytest.raises(ImportError, match="found by SciPy, which is not installed; pip install 'drawgrad"):
            assignment(torch.zeros(2, 2))


class TestGumbel:
    def test_is_sinkhorn_of_noisy_scores(self) -> None:
        scores = random_scores(2, 4, 4)
        noisy = scores + 0.7 * gumbel_noise(scores.shape, dtype=torch.float64, seed=5)
        torch.testing.assert_close(gumbel_sinkhorn(scores, 1.5, scale=0.7, seed=5), sinkhorn(noisy, 1.5).matrix)
        part = gumbel_sinkhorn(scores[1:], 1.5, scale=0.7, seed=5, row_offset=4)
        torch.testing.assert_close(part[0], sinkhorn(noisy[1], 1.5).matrix, rtol=1e-5, atol=1e-6)
        first, second = (gumbel_sinkhorn(scores, 1.5, generator=torch.Generator().manual_seed(1)) for _ in range(2))
        assert torch.equal(first, second)

    @pytest.mark.parametrize("dtype", DTYPES)
    def test_hard_ones_are_the_best_permutation_with_the_relaxed_gradient(self, dtype: torch.dtype) -> None:
        scores = random_scores(5, 4, 4, dtype=dtype).requires_grad_()
        wide = torch.promote_types(dtype, torch.float32)
        noisy = scores.detach().to(wide) + gumbel_noise(scores.shape, dtype=wide, seed=2)
        hard, soft = (gumbel_sinkhorn(scores, 2.0, hard=hard, seed=2) for hard in (True, False))
        assert hard.dtype == soft.dtype == dtype
        assert torch.equal(hard.double(), torch.stack([best(each) for each in noisy.double()]))
        weight = random_scores(5, 4, 4).to(dtype)
        ours, theirs = (torch.autograd.grad((weight * y).sum(), scores)[0] for y in (hard, soft))
        assert torch.equal(ours, theirs)
        assert bool((ours != 0).any())

    def test_of_two_rows_the_law_is_known(self) -> None:
        """Two permutations: the difference of their totals is a sum of two logistic variables about the gap."""
        gap, draws = 1.0, 5_000
        scores = torch.tensor([[gap, 0.0], [0.0, 0.0]], dtype=torch.float64).expand(draws, 2, 2)
        straight = gumbel_sinkhorn(scores, 5.0, hard=True, seed=1, tolerance=0.1)[:, 0, 0].sum()
        # P(x + y > -gap) of two logistic variables, by their convolution in closed form.
        e = torch.tensor(gap).exp()
        p = e * (e - 1 - gap) / (e - 1) ** 2
        counts = torch.stack([straight, draws - straight])
        assert_frequencies(counts, torch.stack([p, 1 - p]), resolution=0.06)
        with pytest.raises(AssertionError, match="chi-square"):
            assert_frequencies(counts, torch.tensor([gap, 0.0]).softmax(-1), resolution=0.06)

    @pytest.mark.parametrize("hard", [False, True])
    def test_one_compiled_graph_draws_the_same(self, hard: bool) -> None:
        mask = torch.ones(4, 5, dtype=torch.bool) if not hard else ~torch.eye(4, dtype=torch.bool)

        def draw(scores: Tensor, tau: Tensor) -> Tensor:
            return gumbel_sinkhorn(scores, tau, hard, mask=mask, seed=3)

        compiled = torch.compile(draw, fullgraph=True, backend="aot_eager")
        inputs = random_scores(2, *mask.shape).requires_grad_(), torch.full((1, 1), 0.5).requires_grad_()
        weight = random_scores(2, *mask.shape)
        found = []
        for function in (draw, compiled):
            y = function(*inputs)
            found.append([y, *torch.autograd.grad((weight * y).sum(), inputs)])
        torch.testing.assert_close(found[1], found[0])

    def test_compiled_code_says_what_is_left(self) -> None:
        def draw(scores: Tensor) -> Tensor:
            return gumbel_sinkhorn(scores, 0.3, max_iterations=1, seed=3)

        with pytest.warns(RuntimeWarning, match="sums off by"):
            torch.compile(draw, fullgraph=True, backend="aot_eager")(random_scores(4, 4))

    def test_masks_hold_for_both(self) -> None:
        mask = ~torch.eye(3, dtype=torch.bool)
        for hard in (True, False):
            P = gumbel_sinkhorn(random_scores(10, 3, 3), 1.0, hard=hard, mask=mask, seed=0)
            assert bool((P[:, ~mask] == 0).all())
            torch.testing.assert_close(P.sum(-1), torch.ones(10, 3, dtype=torch.float64), rtol=0.0, atol=1e-5)

    def test_mistakes_are_refused(self) -> None:
        with pytest.raises(ValueError, match=r"scores must be square to be assigned.*\(2, 3\)"):
            gumbel_sinkhorn(torch.zeros(2, 3), hard=True)
        with pytest.raises(ValueError, match="scale must be finite and not negative"):
            gumbel_sinkhorn(torch.zeros(2, 2), scale=-1.0)
        with pytest.raises(TypeError, match="hard must be True or False"):
            gumbel_sinkhorn(torch.zeros(2, 2), hard=1)  # type: ignore[arg-type]
        with pytest.raises(ValueError, match="both given"):
            gumbel_sinkhorn(torch.zeros(2, 2), generator=torch.Generator(), seed=1)
