"""The normal distribution between bounds, against SciPy, also far in a tail."""

from __future__ import annotations

import copy
import math
import pickle

import numpy as np
import pytest
import torch
from scipy import stats
from torch import Tensor

from drawgrad.distributions import TruncatedNormal
from tests.statistics import assert_distribution, assert_mean

INF = math.inf
BOUNDS = [(-1.0, 2.0), (0.5, INF), (-INF, -0.2), (-INF, INF), (3.0, 3.5), (8.0, 9.0), (-20.0, -19.0), (30.0, INF)]


def tensor(value: float) -> Tensor:
    return torch.tensor(value, dtype=torch.float64)


@pytest.mark.parametrize(("a", "b"), BOUNDS)
class TestBounds:
    def test_quantities_are_those_of_scipy(self, a: float, b: float) -> None:
        loc, scale = 0.3, 0.8
        q = TruncatedNormal(tensor(loc), scale, a, b)
        theirs = stats.truncnorm((a - loc) / scale, (b - loc) / scale, loc, scale)
        x = torch.from_numpy(theirs.ppf(np.linspace(0.05, 0.95, 7)))
        torch.testing.assert_close(q.log_prob(x), torch.from_numpy(theirs.logpdf(x.numpy())), rtol=1e-7, atol=1e-7)
        torch.testing.assert_close(q.cdf(x), torch.from_numpy(theirs.cdf(x.numpy())), rtol=1e-6, atol=1e-7)
        torch.testing.assert_close(q.mean.item(), float(theirs.mean()), rtol=1e-6, atol=1e-9)
        # By quantiles at even distances: SciPy's own variance and entropy fail in the tails.
        even = theirs.ppf((np.arange(100_000) + 0.5) / 100_000)
        torch.testing.assert_close(q.variance.item(), float(even.var()), rtol=2e-3, atol=0.0)
        torch.testing.assert_close(q.entropy().item(), -float(theirs.logpdf(even).mean()), rtol=0.0, atol=1e-3)

    def test_samples_follow_the_law(self, a: float, b: float) -> None:
        q = TruncatedNormal(tensor(0.3), 0.8, a, b)
        x = q.sample((60_000,), seed=1)
        assert bool(((x >= a) & (x <= b)).all())
        assert_distribution(x, lambda x: q.cdf(torch.from_numpy(x)).numpy(), resolution=0.02)
        with pytest.raises(AssertionError, match="off by"):
            assert_distribution(x, lambda x: q.cdf(torch.from_numpy(x)).numpy() ** 1.3, resolution=0.02)

    def test_gradients_are_those_of_the_mean(self, a: float, b: float) -> None:
        names = [0.3, 0.8, a, b]
        leaves = [torch.full((20_000,), value, dtype=torch.float64, requires_grad=True) for value in names]
        x = TruncatedNormal(*leaves, validate_args=False).rsample(seed=2)
        found = torch.autograd.grad(x.sum(), leaves)
        single = [tensor(value).requires_grad_() for value in names]
        expected = torch.autograd.grad(TruncatedNormal(*single, validate_args=False).mean, single)
        for ours, theirs in zip(found, expected, strict=True):
            assert bool(ours.isfinite().all())
            if ours.abs().max() < 1e-6:
                # A bound that no sample comes near.
                assert theirs.abs() < 1e-9
                continue
            spread = max(ours.std().item(), 1e-9)
            assert_mean(ours, theirs, resolution=max(0.1 * spread, 1e-6), magnitude=10.0)


def test_a_wrong_gradient_is_noticed() -> None:
    """That of a sample that is merely cut off at the bounds."""
    loc = torch.full((20_000,), 0.3, dtype=torch.float64, requires_grad=True)
    x = TruncatedNormal(loc, 0.8, -1.0, 2.0).rsample(seed=2)
    (found,) = torch.autograd.grad(x.sum(), loc)
    with pytest.raises(AssertionError, match="the mean of entry"):
        assert_mean(found, 1.0, resolution=0.1 * found.std().item())


def test_seeds_copies_shapes_and_dtypes() -> None:
    loc = torch.zeros(2, 3, requires_grad=True)
    q = TruncatedNormal(loc, torch.ones(3), -1.0, 1.0)
    assert torch.equal(q.rsample((4,), seed=5), q.sample((4,), seed=torch.tensor(5)))
    wide = q.expand((4, 2, 3))
    assert torch.equal(wide.sample(seed=5), q.sample((4,), seed=5))
    for other in (pickle.loads(pickle.dumps(q)), copy.deepcopy(q)):
        assert torch.equal(other.sample(seed=5), q.sample(seed=5))
    for dtype in (torch.float16, torch.bfloat16, torch.float32):
        narrow = TruncatedNormal(torch.zeros(50, dtype=dtype, requires_grad=True), 1.0, -1.0, 1.0)
        x = narrow.rsample(seed=1)
        assert x.dtype == dtype
        assert bool((x.abs() <= 1).all())
        assert narrow.log_prob(x).dtype == torch.float32
    assert bool(q.support.check(q.sample()).all())


def test_mistakes_are_refused() -> None:
    with pytest.raises(ValueError, match="low must be below high"):
        TruncatedNormal(torch.zeros(2), 1.0, 1.0, 0.0, validate_args=True)
    with pytest.raises(ValueError, match="scale"):
        TruncatedNormal(torch.zeros(2), -1.0, 0.0, 1.0, validate_args=True)
    with pytest.raises(TypeError, match="loc must be of a floating dtype"):
        TruncatedNormal(torch.tensor(0), torch.tensor(1.0), 0.0, 1.0)
