"""Subsets and rankings as variables: numbers, indices and samples of all states, and their probabilities."""

from __future__ import annotations

import math

import pytest
import torch
from torch.distributions import Distribution, Independent

from drawgrad.distributions import GibbsPermutation, KSubset, PlackettLuce
from drawgrad.variables import Countable, variables_of

LOGITS = torch.randn(2, 3, 5, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
KINDS = [(KSubset, k) for k in (0, 1, 2, 4, 5)] + [(PlackettLuce, k) for k in (0, 1, 2, 3, 5)]


def variable(q: Distribution) -> Countable:
    found = variables_of(q)
    assert isinstance(found, Countable)
    return found


@pytest.mark.parametrize(("family", "k"), KINDS)
class TestStates:
    def test_are_numbered_without_gaps(self, family: type[Distribution], k: int) -> None:
        v = variable(family(LOGITS, k))
        expected = math.comb(5, k) if family is KSubset else math.perm(5, k)
        assert v.states == expected
        assert v.batch_shape == v.cost_shape == (2, 3)
        numbers = torch.arange(v.states)[:, None, None].expand(-1, 2, 3)
        index = v.state(numbers)
        assert torch.equal(v.number(index), numbers)
        z = v.sample_of(index)
        assert torch.equal(v.sample_of(v.index_of(z)), z)
        assert torch.equal(z, v.q.enumerate_support().to(z.dtype))

    def test_have_the_probabilities_of_the_distribution(self, family: type[Distribution], k: int) -> None:
        q = family(LOGITS, k)
        v = variable(q)
        log_p = v.log_probs()
        assert log_p.shape == (2, 3, v.states)
        torch.testing.assert_close(log_p.exp().sum(-1), torch.ones(2, 3, dtype=torch.float64))
        torch.testing.assert_close(log_p, q.log_prob(q.enumerate_support()).movedim(0, -1))
        index = v.expand(4).draw(torch.tensor(3))
        z = v.sample_of(index)
        torch.testing.assert_close(v.log_prob(index), q.log_prob(z))
        torch.testing.assert_close(
            v.log_prob(index), log_p.expand(4, 2, 3, -1).gather(-1, v.number(index)[..., None])[..., 0]
        )
        one = v.sample_of(v.draw(torch.tensor(3)))
        assert torch.equal(one.to(torch.float64), q.sample(seed=3).to(torch.float64))

    def test_are_made_anew_from_their_parameters(self, family: type[Distribution], k: int) -> None:
        q = Independent(family(LOGITS, k), 1)
        v = variable(q)
        assert (v.batch_shape, v.cost_shape) == ((2, 3), (2,))
        assert list(v.parameters) == ["logits"]
        made = v.remade({"logits": LOGITS.expand(7, 2, 3, 5)})
        assert (made.batch_shape, made.event_shape) == ((7, 2), q.event_shape)
        assert made.base_dist.k == k


def test_the_mean_is_that_of_the_marginals() -> None:
    q = KSubset(LOGITS, 2)
    v = variable(q)
    mean = v.mean()
    assert mean is not None
    torch.testing.assert_close(mean, q.marginals)
    z = v.sample_of(v.state(torch.arange(v.states)[:, None, None].expand(-1, 2, 3)))
    torch.testing.assert_close(mean, (v.log_probs().exp().movedim(-1, 0)[..., None] * z).sum(0))
    assert variable(PlackettLuce(LOGITS, 2)).mean() is None


def test_permutations_are_numbered_and_have_their_probabilities() -> None:
    scores = torch.randn(2, 3, 4, 4, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    q = GibbsPermutation(scores)
    v = variable(Independent(q, 1))
    assert (v.states, v.batch_shape, v.cost_shape) == (24, (2, 3), (2,))
    numbers = torch.arange(24)[:, None, None].expand(-1, 2, 3)
    index = v.state(numbers)
    assert torch.equal(v.number(index), numbers)
    z = v.sample_of(index)
    assert torch.equal(z, q.enumerate_support())
    assert torch.equal(v.index_of(z), index)
    torch.testing.assert_close(v.log_probs(), q.log_prob(z).movedim(0, -1))
    torch.testing.assert_close(v.log_prob(index), q.log_prob(z))
    assert torch.equal(v.sample_of(v.draw(torch.tensor(3))), q.sample(seed=3))
    mean = v.mean()
    assert mean is not None
    torch.testing.assert_close(mean, q.marginals)
    assert v.remade({"scores": scores.expand(7, 2, 3, 4, 4)}).batch_shape == (7, 2)
    flat = v.flattened(torch.tensor([0.0, 1.0]))
    assert flat is not None
    assert torch.equal(flat["scores"][1], scores)
    assert not flat["scores"][0].any()


def test_many_states_are_drawn_but_not_listed() -> None:
    for q in (KSubset(torch.zeros(2, 200), 50), PlackettLuce(torch.zeros(2, 200), 50)):
        v = variable(q)
        index = v.draw(torch.tensor(1))
        assert bool(v.log_prob(index).isfinite().all())
        with pytest.raises(ValueError, match="at most, but there are"):
            v.log_probs()


def test_rankings_with_empty_places_are_not_listed() -> None:
    v = variable(PlackettLuce(torch.tensor([0.0, 1.0, -torch.inf])))
    assert v.draw(torch.tensor(1))[2] == -1
    with pytest.raises(ValueError, match="the rankings of 3 places cannot be listed where fewer classes are allowed"):
        v.log_probs()
