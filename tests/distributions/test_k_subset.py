"""Subsets as a distribution, against the enumeration of its support."""

from __future__ import annotations

import copy
import math
import pickle

import pytest
import torch
from torch import Tensor
from torch.distributions import Independent, kl_divergence

from drawgrad.distributions import KSubset
from tests.statistics import assert_frequencies

SIZES = [(1, 0), (1, 1), (4, 0), (4, 1), (4, 3), (5, 2), (4, 4)]


def make(classes: int, k: int, batch: tuple[int, ...] = (), seed: int = 1) -> KSubset:
    logits = 2 * torch.randn(*batch, classes, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return KSubset(logits.requires_grad_(), k, validate_args=True)


@pytest.mark.parametrize("batch", [(), (3,), (2, 3)])
@pytest.mark.parametrize(("classes", "k"), SIZES)
class TestLaw:
    def test_log_probabilities_sum_to_one_and_follow_the_weights(
        self, classes: int, k: int, batch: tuple[int, ...]
    ) -> None:
        q = make(classes, k, batch)
        z = q.enumerate_support()
        assert z.shape == (math.comb(classes, k), *batch, classes)
        log_p = q.log_prob(z)
        torch.testing.assert_close(log_p.exp().sum(0), torch.ones(batch, dtype=torch.float64))
        torch.testing.assert_close(log_p, (z * q.logits).sum(-1).log_softmax(0))
        assert q.enumerate_support(expand=False).shape == (len(z), *(1,) * len(batch), classes)

    def test_moments_are_sums_over_the_support(self, classes: int, k: int, batch: tuple[int, ...]) -> None:
        q = make(classes, k, batch)
        z = q.enumerate_support()
        p = q.log_prob(z).exp()
        mean = (p[..., None] * z).sum(0)
        for ours, sums in (
            (q.mean, mean),
            (q.marginals, mean),
            (q.variance, (p[..., None] * (z - mean) ** 2).sum(0)),
            (q.entropy(), -(p * p.log()).sum(0)),
        ):
            torch.testing.assert_close(ours, sums, rtol=1e-9, atol=1e-11)
        assert torch.equal(q.mode, z.movedim(0, -2)[..., 0, :] if len(z) == 1 else _best(p, z))

    def test_divergence_is_a_sum_over_the_support(self, classes: int, k: int, batch: tuple[int, ...]) -> None:
        q, other = make(classes, k, batch), make(classes, k, seed=2)
        log_q, log_other = q.log_prob(q.enumerate_support()), other.log_prob(q.enumerate_support())
        expected = (log_q.exp() * (log_q - log_other)).sum(0)
        torch.testing.assert_close(kl_divergence(q, other), expected, rtol=1e-9, atol=1e-11)


def _best(p: Tensor, z: Tensor) -> Tensor:
    best = p.argmax(0)[None, ..., None].expand(1, *z.shape[1:])
    return z.gather(0, best)[0]


class TestGradients:
    def test_are_those_of_sums_over_the_support(self) -> None:
        q = make(5, 2, (2,))
        z = q.enumerate_support()
        other = KSubset(torch.randn(5, dtype=torch.float64), 2)
        log_p = (z * q.logits).sum(-1).log_softmax(0)
        pairs = [
            (q.log_prob(z)[3], log_p[3]),
            (q.entropy(), -(log_p.exp() * log_p).sum(0)),
            (kl_divergence(q, other), (log_p.exp() * (log_p - other.log_prob(z))).sum(0)),
            (q.mean, (log_p.exp()[..., None] * z).sum(0)),
        ]
        for ours, theirs in pairs:
            weight = torch.randn_like(ours)
            found = [
                torch.autograd.grad((weight * value).sum(), q.logits, retain_graph=True) for value in (ours, theirs)
            ]
            torch.testing.assert_close(*found)

    def test_reaches_the_value(self) -> None:
        q = make(4, 2)
        value = q.sample(seed=0).requires_grad_()
        (found,) = torch.autograd.grad(q.log_prob(value), value)
        torch.testing.assert_close(found, q.logits.detach())


class TestForbidden:
    q = KSubset(torch.tensor([0.0, -torch.inf, 1.0, 2.0], requires_grad=True), 2)

    def test_has_no_probability(self) -> None:
        z = self.q.enumerate_support()
        log_p = self.q.log_prob(z)
        assert torch.equal(log_p == -torch.inf, z[:, 1] == 1)
        torch.testing.assert_close(log_p.exp().sum(), torch.tensor(1.0))
        assert self.q.mean[1] == 0
        possible = log_p[log_p > -torch.inf]
        torch.testing.assert_close(self.q.entropy(), -(possible.exp() * possible).sum())

    def test_leaves_gradients_finite(self) -> None:
        value = self.q.log_prob(torch.tensor([1.0, 0.0, 1.0, 0.0])) + self.q.entropy() + self.q.mean.square().sum()
        (found,) = torch.autograd.grad(value, self.q.logits)
        assert bool(found.isfinite().all())
        assert found[1] == 0

    def test_divergences(self) -> None:
        free = KSubset(torch.zeros(4), 2)
        assert kl_divergence(free, self.q) == torch.inf
        z = self.q.enumerate_support()
        log_p = self.q.log_prob(z)
        inside = log_p > -torch.inf
        expected = (log_p.exp() * (log_p - free.log_prob(z)))[inside].sum()
        torch.testing.assert_close(kl_divergence(self.q, free), expected)
        torch.testing.assert_close(kl_divergence(self.q, self.q), torch.tensor(0.0), atol=1e-6, rtol=0.0)
        assert kl_divergence(KSubset(torch.zeros(4), 3), free) == torch.inf


class TestSamples:
    def test_follow_the_law(self) -> None:
        q = make(5, 2, (2,))
        z = q.enumerate_support(expand=False)[:, 0]
        drawn = q.sample((60_000,), seed=1)
        assert not drawn.requires_grad
        counts = (drawn @ z.T == 2).sum(0)
        p = q.log_prob(q.enumerate_support()).exp().T
        assert_frequencies(counts, p, resolution=0.02)
        with pytest.raises(AssertionError, match="chi-square"):
            assert_frequencies(counts, p.flip(0), resolution=0.02)

    def test_follow_seed_and_generator(self) -> None:
        q = make(5, 2, (2,))
        assert q.sample((3, 4)).shape == (3, 4, 2, 5)
        assert torch.equal(q.sample((3,), seed=5), q.sample((3,), seed=torch.tensor(5)))
        assert not torch.equal(q.sample((30,), seed=5), q.sample((30,), seed=6))
        first, second = (q.sample((3,), generator=torch.Generator().manual_seed(7)) for _ in range(2))
        assert torch.equal(first, second)


class TestDistribution:
    def test_expands_and_copies(self) -> None:
        q = make(5, 2, (1, 2))
        wide = q.expand((4, 3, 2))
        assert (wide.batch_shape, wide.event_shape) == ((4, 3, 2), (5,))
        assert torch.equal(wide.sample(seed=3), q.sample((4, 3), seed=3).reshape(4, 3, 2, 5))
        torch.testing.assert_close(wide.entropy(), q.entropy().expand(4, 3, 2))
        for other in (pickle.loads(pickle.dumps(q)), copy.deepcopy(q)):
            assert torch.equal(other.sample(seed=5), q.sample(seed=5))

    def test_independent_sums(self) -> None:
        q = make(5, 2, (3, 2))
        joint = Independent(q, 1)
        sample = joint.sample((7,))
        torch.testing.assert_close(joint.log_prob(sample), q.log_prob(sample).sum(-1))

    @pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
    def test_dtypes_follow_the_logits(self, dtype: torch.dtype) -> None:
        logits = make(50, 7, (3,)).logits.detach().to(dtype)
        q, right = KSubset(logits, 7), KSubset(logits.double(), 7)
        z = q.sample(seed=0)
        # Probabilities of many classes are beyond the narrow dtypes.
        wide = torch.promote_types(dtype, torch.float32)
        for ours, theirs, expected in (
            (q.log_prob(z), right.log_prob(z.double()), wide),
            (q.entropy(), right.entropy(), wide),
            (kl_divergence(q, q), kl_divergence(right, right), wide),
            (q.mean, right.mean, dtype),
        ):
            assert ours.dtype == expected
            torch.testing.assert_close(ours.double(), theirs, rtol=torch.finfo(expected).eps, atol=1e-6)

    def test_mistakes_are_refused(self) -> None:
        logits = torch.zeros(2, 3)
        for k, error, message in (
            (4, ValueError, "k must be at most the number of classes, 3, but it is 4; choose fewer"),
            (-1, ValueError, "k must be at least 0"),
            (True, TypeError, "k must be an integer"),
        ):
            with pytest.raises(error, match=message):
                KSubset(logits, k)
        with pytest.raises(ValueError, match=r"with 2 in each row above -inf, but .* \[0.0, -inf, -inf\]"):
            KSubset(torch.tensor([0.0, -torch.inf, -torch.inf]), 2, validate_args=True)
        with pytest.raises(ValueError, match="logits must be numbers"):
            KSubset(torch.tensor([0.0, torch.nan]), 1, validate_args=True)
        with pytest.raises(ValueError, match="0-dim"):
            KSubset(torch.tensor(0.0), 0)
        q = KSubset(logits, 2, validate_args=True)
        for wrong in ([1.0, 1.0, 1.0], [1.0, 0.5, 0.5]):
            with pytest.raises(ValueError, match="within the support"):
                q.log_prob(torch.tensor(wrong))
        with pytest.raises(ValueError, match="makes 1048576 subsets at most, but there are 2035800"):
            KSubset(torch.zeros(30), 7).enumerate_support()
        with pytest.raises(ValueError, match="of one kind and of one event shape, but they are KSubset"):
            kl_divergence(q, KSubset(torch.zeros(2), 2))
