"""Permanents, marginals and samples of permutations, against sums over all of them."""

from __future__ import annotations

import itertools

import pytest
import torch
from torch import Tensor

from drawgrad.functional import log_permanent, permutation_marginals, permutation_sample
from tests.statistics import assert_frequencies


def random_scores(*shape: int) -> Tensor:
    return 1.5 * torch.randn(shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64)


def listed(scores: Tensor) -> tuple[Tensor, Tensor]:
    """All permutations and their total scores."""
    n = scores.shape[-1]
    columns = torch.tensor(list(itertools.permutations(range(n)))).reshape(-1, n)
    return columns, scores[..., torch.arange(n), columns].sum(-1)


@pytest.mark.parametrize("n", [1, 2, 3, 6])
def test_is_the_sum_over_all_permutations(n: int) -> None:
    scores = random_scores(2, 3, n, n).requires_grad_()
    columns, totals = listed(scores)
    found = log_permanent(scores)
    torch.testing.assert_close(found, totals.logsumexp(-1))
    matrices = torch.nn.functional.one_hot(columns, n).double()
    expected = torch.einsum("...s,sij->...ij", totals.softmax(-1), matrices)
    marginals = permutation_marginals(scores)
    torch.testing.assert_close(marginals, expected)
    torch.testing.assert_close(torch.autograd.grad(found.sum(), scores, retain_graph=True)[0], expected)
    weight = random_scores(2, 3, n, n)
    ours, theirs = (
        torch.autograd.grad((weight * each).sum(), scores, retain_graph=True)[0] for each in (marginals, expected)
    )
    torch.testing.assert_close(ours, theirs)


def test_has_second_derivatives() -> None:
    scores = random_scores(3, 3).requires_grad_()
    assert torch.autograd.gradcheck(permutation_marginals, scores)
    assert torch.autograd.gradgradcheck(log_permanent, scores)


def test_forbidden_pairs_never_occur() -> None:
    scores = random_scores(4, 4)
    scores[0, 1:3] = -torch.inf
    scores[2, 3] = -torch.inf
    leaf = scores.clone().requires_grad_()
    _, totals = listed(scores)
    found = log_permanent(leaf)
    torch.testing.assert_close(found, totals.logsumexp(-1))
    (grad,) = torch.autograd.grad(found, leaf)
    assert bool(grad.isfinite().all())
    assert bool((grad[scores == -torch.inf] == 0).all())
    drawn = permutation_sample(scores.expand(500, 4, 4), seed=1)
    assert bool(scores[torch.arange(4), drawn].isfinite().all())
    nothing = torch.full((2, 3, 3), -torch.inf)
    nothing[1] = 0.0
    assert log_permanent(nothing)[0] == -torch.inf
    assert torch.equal(permutation_sample(nothing, seed=0)[0], torch.full((3,), -1))
    assert torch.equal(permutation_marginals(nothing), torch.stack([torch.zeros(3, 3), torch.full((3, 3), 1 / 3)]))


def test_large_scores_and_narrow_dtypes() -> None:
    scores = torch.full((3, 3), -1e4, dtype=torch.float64)
    scores.fill_diagonal_(1e4)
    torch.testing.assert_close(permutation_marginals(scores), torch.eye(3, dtype=torch.float64))
    assert log_permanent(scores).item() == 3e4
    for dtype in (torch.float16, torch.bfloat16, torch.float32):
        narrow = random_scores(5, 5).to(dtype)
        torch.testing.assert_close(permutation_marginals(narrow), permutation_marginals(narrow.double()).to(dtype))
        assert log_permanent(narrow).dtype == dtype


def test_an_empty_matrix_has_one_permutation() -> None:
    assert torch.equal(log_permanent(torch.zeros(2, 0, 0)), torch.zeros(2))
    assert permutation_marginals(torch.zeros(2, 0, 0)).shape == (2, 0, 0)
    assert permutation_sample(torch.zeros(2, 0, 0), seed=0).shape == (2, 0)
    assert log_permanent(torch.zeros(0, 3, 3)).shape == (0,)
    assert permutation_sample(torch.zeros(0, 3, 3), seed=0).shape == (0, 3)


def test_the_largest_matrix_is_summed_in_a_moment() -> None:
    marginals = permutation_marginals(random_scores(16, 16))
    torch.testing.assert_close(marginals.sum(0), torch.ones(16, dtype=torch.float64))
    torch.testing.assert_close(marginals.sum(1), torch.ones(16, dtype=torch.float64))


def test_samples_follow_the_law() -> None:
    scores = random_scores(4, 4)
    columns, totals = listed(scores)
    drawn = permutation_sample(scores.expand(60_000, 4, 4), seed=1)
    counts = (drawn[:, None] == columns).all(-1).sum(0)
    assert_frequencies(counts, totals.softmax(-1), resolution=0.02)
    with pytest.raises(AssertionError, match="chi-square"):
        assert_frequencies(counts, (0.5 * totals).softmax(-1), resolution=0.02)


def test_parts_are_drawn_as_the_whole_and_nan_stays_in_its_matrix() -> None:
    scores = random_scores(5, 3, 3)
    whole = permutation_sample(scores, seed=4)
    assert torch.equal(permutation_sample(scores[2:], seed=4, row_offset=2), whole[2:])
    first, second = (permutation_sample(scores, generator=torch.Generator().manual_seed(1)) for _ in range(2))
    assert torch.equal(first, second)
    scores[0, 1, 1] = torch.nan
    assert torch.equal(permutation_sample(scores, seed=4)[1:], whole[1:])
    assert bool((permutation_sample(scores, seed=4)[0] == -1).all())
    assert bool(log_permanent(scores)[0].isnan())
    assert bool(log_permanent(scores)[1:].isfinite().all())


@pytest.mark.parametrize("shape", [(3,), (2, 3), (17, 17)])
def test_mistakes_are_refused(shape: tuple[int, ...]) -> None:
    for function in (log_permanent, permutation_marginals, permutation_sample):
        with pytest.raises(ValueError, match="scores must be square matrices with at most 16 rows"):
            function(torch.zeros(shape))
        with pytest.raises(TypeError, match="floating dtype"):
            function(torch.zeros(2, 2, dtype=torch.int64))
