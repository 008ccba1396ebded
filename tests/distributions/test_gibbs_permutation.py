"""The exact law of permutations against sums over all of them."""

from __future__ import annotations

import copy
import itertools
import pickle

import pytest
import torch
from torch import Tensor
from torch.distributions import kl_divergence

from drawgrad.distributions import GibbsPermutation, KSubset
from tests.statistics import assert_frequencies

SCORES = torch.randn(2, 4, 4, generator=torch.Generator().manual_seed(3), dtype=torch.float64)


def everything(scores: Tensor) -> tuple[Tensor, Tensor]:
    """All matrices, and their log-probabilities, in plain arithmetic."""
    n = scores.shape[-1]
    eye = torch.eye(n, dtype=scores.dtype)
    matrices = torch.stack([eye[list(each)] for each in itertools.permutations(range(n))])
    totals = torch.stack([(scores * each).sum((-1, -2)) for each in matrices])
    return matrices, totals.log_softmax(0)


def test_quantities_are_those_of_the_enumeration() -> None:
    q, p = GibbsPermutation(SCORES), GibbsPermutation(SCORES.flip(0))
    matrices, log_p = everything(SCORES)
    assert torch.equal(q.enumerate_support(expand=False)[:, 0], matrices)
    torch.testing.assert_close(q.log_prob(q.enumerate_support()), log_p)
    torch.testing.assert_close(q.entropy(), -(log_p.exp() * log_p).sum(0))
    mean = torch.einsum("sb,sij->bij", log_p.exp(), matrices)
    torch.testing.assert_close(q.mean, mean)
    torch.testing.assert_close(q.variance, mean - mean**2)
    torch.testing.assert_close(kl_divergence(q, p), (log_p.exp() * (log_p - log_p.flip(1))).sum(0))
    assert torch.equal(q.mode, matrices[log_p.argmax(0)])


def test_samples_follow_the_law_and_the_seed() -> None:
    q = GibbsPermutation(SCORES)
    z = q.sample((80_000,), seed=1)
    assert bool(q.support.check(z).all())
    matrices, log_p = everything(SCORES)
    counts = torch.stack([(z == each).flatten(-2).all(-1).sum(0) for each in matrices], -1)
    assert_frequencies(counts, log_p.exp().T, resolution=0.02)
    with pytest.raises(AssertionError, match="chi-square"):
        assert_frequencies(counts.flip(0), log_p.exp().T, resolution=0.02)
    assert torch.equal(z, q.sample((80_000,), seed=torch.tensor(1)))


def test_forbidden_pairs_have_no_probability_and_no_divergence_but_an_infinite_one() -> None:
    scores = SCORES.clone()
    scores[0, 0, :2] = -torch.inf
    scores.requires_grad_()
    q, p = GibbsPermutation(scores), GibbsPermutation(SCORES)
    assert q.log_prob(torch.eye(4, dtype=torch.float64))[0] == -torch.inf
    assert kl_divergence(p, q)[0] == torch.inf
    loss = kl_divergence(q, p)[0] + q.entropy().sum()
    (found,) = torch.autograd.grad(loss, scores)
    assert bool(found.isfinite().all())


def test_expands_and_copies() -> None:
    q = GibbsPermutation(SCORES)
    wide = q.expand((3, 2))
    assert (wide.batch_shape, wide.event_shape) == ((3, 2), (4, 4))
    assert torch.equal(wide.sample(seed=1), q.sample((3,), seed=1))
    for other in (pickle.loads(pickle.dumps(q)), copy.deepcopy(q)):
        assert torch.equal(other.sample(seed=5), q.sample(seed=5))
    assert repr(q) == "GibbsPermutation(scores: torch.Size([2, 4, 4]))"


def test_mistakes_are_refused() -> None:
    with pytest.raises(ValueError, match="scores must be square matrices"):
        GibbsPermutation(torch.zeros(2, 3))
    with pytest.raises(ValueError, match="allow a permutation"):
        GibbsPermutation(torch.full((2, 2), -torch.inf), validate_args=True)
    with pytest.raises(ValueError, match="within the support"):
        GibbsPermutation(torch.zeros(2, 2), validate_args=True).log_prob(torch.ones(2, 2))
    with pytest.raises(ValueError, match="permutations at most, but there are 3628800 of 10 rows"):
        GibbsPermutation(torch.zeros(10, 10)).enumerate_support()
    with pytest.raises(ValueError, match="of one kind and of one event shape"):
        kl_divergence(GibbsPermutation(torch.zeros(2, 2)), KSubset(torch.zeros(2), 1))
