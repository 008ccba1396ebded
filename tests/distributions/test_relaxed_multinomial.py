"""Counts of relaxed and hard draws."""

from __future__ import annotations

import copy
import pickle

import pytest
import torch
from torch.distributions import Multinomial

from drawgrad.distributions import RelaxedMultinomial
from drawgrad.functional import gumbel_softmax
from tests.statistics import assert_frequencies, assert_mean

LOGITS = torch.tensor([0.5, -0.3, 0.1, -torch.inf], dtype=torch.float64)


class TestSamples:
    def test_are_sums_of_relaxed_draws(self) -> None:
        logits = torch.randn(3, 4, dtype=torch.float64).requires_grad_()
        q = RelaxedMultinomial(5, 0.7, logits)
        x = q.rsample((2,), seed=1)
        assert x.shape == (2, 3, 4)
        draws = gumbel_softmax(logits.expand(5, 2, 3, 4), 0.7, seed=1)
        torch.testing.assert_close(x, draws.sum(0))
        torch.testing.assert_close(x.sum(-1), torch.full((2, 3), 5.0, dtype=torch.float64))
        ours, theirs = (torch.autograd.grad(v.square().sum(), logits)[0] for v in (x, draws.sum(0)))
        torch.testing.assert_close(ours, theirs)

    def test_hard_ones_are_multinomial(self) -> None:
        q = RelaxedMultinomial(3, 0.5, LOGITS, hard=True)
        x = q.sample((60_000,), seed=2)
        assert bool((x[:, 3] == 0).all())
        code = (x * torch.tensor([16.0, 4.0, 1.0, 0.0])).sum(-1).long()
        outcomes = torch.cartesian_prod(*[torch.arange(4)] * 3)
        outcomes = outcomes[outcomes.sum(-1) == 3]
        counts = torch.stack([(code == each @ torch.tensor([16, 4, 1])).sum() for each in outcomes])
        assert int(counts.sum()) == 60_000
        p = Multinomial(3, logits=LOGITS[:3]).log_prob(outcomes.double()).exp()
        assert_frequencies(counts, p, resolution=0.02)
        with pytest.raises(AssertionError, match="chi-square"):
            assert_frequencies(counts, p.flip(0), resolution=0.02)
        assert_mean(x, q.mean, resolution=0.03)
        full = torch.cat([outcomes.double(), torch.zeros(len(outcomes), 1)], -1)
        torch.testing.assert_close(q.log_prob(full).exp(), p)

    def test_hard_ones_carry_the_relaxed_gradient(self) -> None:
        logits = torch.randn(3, 4, dtype=torch.float64).requires_grad_()
        hard, soft = (RelaxedMultinomial(5, 0.7, logits, hard=each).rsample(seed=1) for each in (True, False))
        assert torch.equal(hard.detach(), hard.detach().round())
        weight = torch.randn(3, 4, dtype=torch.float64)
        ours, theirs = (torch.autograd.grad((weight * v).sum(), logits)[0] for v in (hard, soft))
        torch.testing.assert_close(ours, theirs)


class TestDistribution:
    @pytest.mark.parametrize("batch", [(), (2,), (3, 2), (0,)])
    def test_shapes_and_copies(self, batch: tuple[int, ...]) -> None:
        q = RelaxedMultinomial(4, torch.full(batch, 0.5), torch.zeros(*batch, 3), hard=True)
        assert (q.batch_shape, q.event_shape) == (batch, (3,))
        x = q.rsample((2,), seed=1)
        assert x.shape == (2, *batch, 3)
        assert q.log_prob(x).shape == (2, *batch)
        wide = q.expand((5, *batch))
        assert (wide.total_count, wide.hard) == (4, True)
        assert wide.rsample(seed=1).shape == (5, *batch, 3)
        for other in (pickle.loads(pickle.dumps(q)), copy.deepcopy(q)):
            assert torch.equal(other.sample(seed=5), q.sample(seed=5))

    def test_nothing_is_drawn_zero_times(self) -> None:
        assert RelaxedMultinomial(0, 0.5, torch.zeros(3)).sample(seed=0).tolist() == [0, 0, 0]

    @pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32])
    def test_narrow_dtypes_are_kept(self, dtype: torch.dtype) -> None:
        logits = torch.zeros(3, dtype=dtype, requires_grad=True)
        x = RelaxedMultinomial(10, 0.5, logits, hard=True).rsample(seed=0)
        assert x.dtype == dtype
        assert x.sum() == 10
        (found,) = torch.autograd.grad(x[0], logits)
        assert bool(found.isfinite().all())

    def test_what_has_no_closed_form_is_refused(self) -> None:
        q = RelaxedMultinomial(4, 0.5, torch.zeros(3))
        with pytest.raises(NotImplementedError, match="density of a sum of relaxed samples"):
            q.log_prob(q.sample(seed=0))
        with pytest.raises(NotImplementedError, match="mean of a relaxed sample"):
            _ = q.mean

    def test_mistakes_are_refused(self) -> None:
        with pytest.raises(ValueError, match="total_count must be at least 0"):
            RelaxedMultinomial(-1, 0.5, torch.zeros(3))
        with pytest.raises(ValueError, match="probs or logits must be given, but neither is"):
            RelaxedMultinomial(1, 0.5)
        with pytest.raises(ValueError, match="temperature must be positive"):
            RelaxedMultinomial(1, 0.0, torch.zeros(3))
        with pytest.raises(TypeError, match="hard must be True or False"):
            RelaxedMultinomial(1, 0.5, torch.zeros(3), hard=1)  # type: ignore[arg-type]
