"""Rankings as a distribution, against the product over their places."""

from __future__ import annotations

import copy
import math
import pickle

import pytest
import torch
from torch import Tensor
from torch.distributions import Independent

from drawgrad.distributions import PlackettLuce
from tests.statistics import assert_frequencies


def make(classes: int, k: int | None, batch: tuple[int, ...] = ()) -> PlackettLuce:
    logits = 2 * torch.randn(*batch, classes, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    return PlackettLuce(logits.requires_grad_(), k, validate_args=True)


def by_places(logits: Tensor, ranking: list[int]) -> Tensor:
    """The log-probability of one ranking of one row: a softmax over what is left, place by place."""
    left = [index for index, logit in enumerate(logits.tolist()) if logit > -math.inf]
    total = logits.new_zeros(())
    for index in ranking:
        if index < 0:
            break
        total = total + logits[index] - logits[left].logsumexp(-1)
        left.remove(index)
    return total


@pytest.mark.parametrize(("classes", "k"), [(1, 0), (1, 1), (4, 0), (4, 1), (4, 3), (4, None)])
class TestLaw:
    @pytest.mark.parametrize("batch", [(), (3,), (2, 3)])
    def test_log_probabilities_sum_to_one(self, classes: int, k: int | None, batch: tuple[int, ...]) -> None:
        q = make(classes, k, batch)
        v = q.enumerate_support()
        length = classes if k is None else k
        assert v.shape == (math.perm(classes, length), *batch, length)
        torch.testing.assert_close(q.log_prob(v).exp().sum(0), torch.ones(batch, dtype=torch.float64))
        torch.testing.assert_close(q.log_prob(q.enumerate_support(expand=False)), q.log_prob(v))

    def test_are_products_over_the_places(self, classes: int, k: int | None) -> None:
        q = make(classes, k)
        for v in q.enumerate_support():
            ours, theirs = q.log_prob(v), by_places(q.logits, v.tolist())
            torch.testing.assert_close(ours, theirs)
            if len(v):
                found = [torch.autograd.grad(value, q.logits, retain_graph=True)[0] for value in (ours, theirs)]
                torch.testing.assert_close(found[0], found[1])
        best = q.log_prob(q.enumerate_support()).argmax()
        assert torch.equal(q.mode, q.enumerate_support()[best])


class TestForbidden:
    logits = torch.tensor([0.0, -torch.inf, 1.0, 2.0], requires_grad=True)

    def test_rankings_end_where_no_class_is_left(self) -> None:
        q = PlackettLuce(self.logits, validate_args=True)
        drawn = q.sample((200,), seed=0)
        assert bool((drawn[:, 3] == -1).all())
        assert not bool((drawn == 1).any())
        for v in drawn[:20]:
            torch.testing.assert_close(q.log_prob(v), by_places(self.logits, v.tolist()))
        (found,) = torch.autograd.grad(q.log_prob(drawn).sum(), self.logits)
        assert bool(found.isfinite().all())
        assert found[1] == 0
        assert q.mode.tolist() == [3, 2, 0, -1]

    @pytest.mark.parametrize("wrong", [[0, 1, 2, 3], [0, 2, 2, 3], [0, 2, -1, -1], [-1] * 4, [0, 0, 0, 0]])
    def test_what_cannot_be_has_no_probability(self, wrong: list[int]) -> None:
        q = PlackettLuce(self.logits, validate_args=False)
        value = q.log_prob(torch.tensor(wrong))
        assert value == -torch.inf
        (found,) = torch.autograd.grad(value, self.logits)
        assert not bool(found.isnan().any())

    def test_nothing_is_allowed(self) -> None:
        q = PlackettLuce(torch.full((3,), -torch.inf))
        assert q.sample(seed=0).tolist() == [-1, -1, -1]
        assert q.log_prob(q.sample(seed=0)) == 0


class TestSamples:
    def test_follow_the_law(self) -> None:
        q = make(4, 2, (2,))
        drawn = q.sample((60_000,), seed=1)
        v = q.enumerate_support(expand=False)
        counts = (drawn[:, None] == v).all(-1).sum(0)
        p = q.log_prob(q.enumerate_support()).exp().T
        assert_frequencies(counts.T, p, resolution=0.02)
        with pytest.raises(AssertionError, match=r"chi-square|probability zero"):
            assert_frequencies(counts.T, p.flip(0), resolution=0.02)

    def test_follow_seed_and_generator(self) -> None:
        q = make(5, 2, (2,))
        assert q.sample((3, 4)).shape == (3, 4, 2, 2)
        assert q.sample().dtype == torch.int64
        assert torch.equal(q.sample((3,), seed=5), q.sample((3,), seed=torch.tensor(5)))
        assert not torch.equal(q.sample((30,), seed=5), q.sample((30,), seed=6))
        first, second = (q.sample((3,), generator=torch.Generator().manual_seed(7)) for _ in range(2))
        assert torch.equal(first, second)


class TestDistribution:
    def test_expands_and_copies(self) -> None:
        q = make(5, 2, (1, 2))
        wide = q.expand((4, 3, 2))
        assert (wide.batch_shape, wide.event_shape) == ((4, 3, 2), (2,))
        assert torch.equal(wide.sample(seed=3), q.sample((4, 3), seed=3).reshape(4, 3, 2, 2))
        value = wide.sample()
        torch.testing.assert_close(wide.log_prob(value), q.log_prob(value))
        for other in (pickle.loads(pickle.dumps(q)), copy.deepcopy(q)):
            assert torch.equal(other.sample(seed=5), q.sample(seed=5))
        joint = Independent(make(5, 2, (3, 2)), 1)
        sample = joint.sample((7,))
        torch.testing.assert_close(joint.log_prob(sample), joint.base_dist.log_prob(sample).sum(-1))

    @pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
    def test_densities_are_float32_at_least(self, dtype: torch.dtype) -> None:
        logits = make(50, 7, (3,)).logits.detach().to(dtype)
        value = PlackettLuce(logits, 7).sample(seed=0)
        ours, right = (PlackettLuce(each, 7).log_prob(value) for each in (logits, logits.double()))
        assert ours.dtype == torch.promote_types(dtype, torch.float32)
        torch.testing.assert_close(ours.double(), right, rtol=torch.finfo(ours.dtype).eps, atol=0.0)

    def test_large_logits_are_exact(self) -> None:
        q = PlackettLuce(torch.tensor([1e4, -1e4, 1e4, 0.0]))
        assert q.log_prob(torch.tensor([0, 2, 3, 1])) == torch.tensor(0.5).log()
        assert q.log_prob(torch.tensor([1, 2, 3, 0])) < -2e4

    def test_mistakes_are_refused(self) -> None:
        logits = torch.zeros(2, 3)
        for k, error, message in (
            (4, ValueError, "k must be at most the number of classes, 3, but it is 4; choose fewer"),
            (-1, ValueError, "k must be at least 0"),
            (True, TypeError, "k must be an integer"),
        ):
            with pytest.raises(error, match=message):
                PlackettLuce(logits, k)
        with pytest.raises(ValueError, match=r"logits must be numbers or -inf"):
            PlackettLuce(torch.tensor([0.0, torch.nan]), validate_args=True)
        q = PlackettLuce(logits, validate_args=True)
        for wrong in ([0, 1, 3], [0, 1, 1], [-1, 0, 1], [0, 1, -2]):
            with pytest.raises(ValueError, match="within the support"):
                q.log_prob(torch.tensor(wrong))
        with pytest.raises(ValueError, match="makes 1048576 rankings at most"):
            PlackettLuce(torch.zeros(12)).enumerate_support()
