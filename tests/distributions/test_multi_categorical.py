"""Variables of different sizes in one tensor, against a loop over single ones."""

from __future__ import annotations

import copy
import itertools
import pickle

import pytest
import torch
from torch import Tensor
from torch.distributions import Categorical, kl_divergence

from drawgrad.distributions import MultiCategorical
from drawgrad.estimators import Exact, GumbelSoftmax, Reinforce, StraightThrough
from drawgrad.variables import variables_of

SIZES = (2, 4, 1, 3)
LOGITS = torch.randn(3, 10, generator=torch.Generator().manual_seed(1), dtype=torch.float64)


def singles(logits: Tensor) -> list[Categorical]:
    return [Categorical(logits=part) for part in logits.split(list(SIZES), -1)]


class TestQuantities:
    def test_are_those_of_single_variables(self) -> None:
        q, p = MultiCategorical(LOGITS, SIZES), MultiCategorical(LOGITS.flip(0), SIZES)
        each, others = singles(LOGITS), singles(LOGITS.flip(0))
        assert (q.batch_shape, q.event_shape) == ((3,), (4, 4))
        z = q.sample((5,), seed=1)
        index = q.indices(z)
        assert torch.equal(z.sum(-1), torch.ones(5, 3, 4, dtype=torch.float64))
        torch.testing.assert_close(q.log_prob(z), sum(one.log_prob(index[..., v]) for v, one in enumerate(each)))
        torch.testing.assert_close(q.entropy(), sum(one.entropy() for one in each))
        torch.testing.assert_close(
            kl_divergence(q, p), sum(kl_divergence(one, other) for one, other in zip(each, others, strict=True))
        )
        torch.testing.assert_close(q.probs, torch.cat([one.probs for one in each], -1))
        torch.testing.assert_close(q.flat(q.mean), q.probs)

    def test_all_states_are_listed_once(self) -> None:
        q = MultiCategorical(LOGITS, SIZES)
        z = q.enumerate_support()
        assert z.shape == (24, 3, 4, 4)
        assert [tuple(i) for i in q.indices(z[:, 0]).tolist()] == list(itertools.product(*map(range, SIZES)))
        torch.testing.assert_close(q.log_prob(z).exp().sum(0), torch.ones(3, dtype=torch.float64))
        with pytest.raises(ValueError, match="samples at most, but there are 1048577"):
            MultiCategorical(torch.zeros(2**20 + 1), [2**20 + 1]).enumerate_support()

    def test_the_padding_has_no_gradient_and_forbidden_classes_are_exact(self) -> None:
        logits = LOGITS.clone()
        logits[0, 3] = -torch.inf
        logits.requires_grad_()
        q = MultiCategorical(logits, SIZES)
        z = q.sample((2000,), seed=1)
        assert not bool(q.flat(z)[:, 0, 3].any())
        other = MultiCategorical(LOGITS, SIZES)
        (found,) = torch.autograd.grad(q.entropy().sum() + kl_divergence(q, other).sum() + q.log_prob(z).sum(), logits)
        assert bool(found.isfinite().all())
        assert found[0, 3] == 0
        assert kl_divergence(other, q)[0] == torch.inf

    def test_copies_and_expands(self) -> None:
        q = MultiCategorical(LOGITS, SIZES)
        wide = q.expand((2, 3))
        assert (type(wide), wide.sizes, wide.batch_shape) == (MultiCategorical, SIZES, (2, 3))
        assert torch.equal(wide.sample(seed=4), q.sample((2,), seed=4))
        for twin in (pickle.loads(pickle.dumps(q)), copy.deepcopy(q)):
            assert torch.equal(twin.sample(seed=5), q.sample(seed=5))
        assert repr(q) == "MultiCategorical(sizes: (2, 4, 1, 3), batch_shape: (3,))"

    def test_mistakes_are_refused(self) -> None:
        with pytest.raises(ValueError, match=r"10 for sizes = \(2, 4, 1, 3\), but their shape is \(9,\)"):
            MultiCategorical(torch.zeros(9), SIZES)
        with pytest.raises(ValueError, match="each of sizes must be at least 1"):
            MultiCategorical(torch.zeros(3), [3, 0])
        with pytest.raises(TypeError, match="floating dtype"):
            MultiCategorical(torch.zeros(3, dtype=torch.int64), [3])
        with pytest.raises(ValueError, match="variables of the same sizes"):
            kl_divergence(MultiCategorical(torch.zeros(5), [2, 3]), MultiCategorical(torch.zeros(5), [3, 2]))


class TestEstimators:
    @staticmethod
    def cost(z: Tensor) -> Tensor:
        x = (z * torch.linspace(-1, 1, 16, dtype=torch.float64).reshape(4, 4)).flatten(-2).sum(-1)
        return torch.tanh(x) + 0.3 * x**3

    def test_enumeration_leaves_the_padding_out(self) -> None:
        logits = LOGITS.clone().requires_grad_()
        seen = []

        def cost(z: Tensor) -> Tensor:
            seen.append(len(z))
            return self.cost(z)

        q = MultiCategorical(logits, SIZES)
        loss = Exact()(cost, q)
        z = q.enumerate_support()
        expected = (q.log_prob(z).exp() * self.cost(z)).sum(0)
        assert sum(seen) == 24
        torch.testing.assert_close(loss, expected)
        torch.testing.assert_close(
            *(torch.autograd.grad(x.sum(), logits, retain_graph=True)[0] for x in (loss, expected))
        )

    @pytest.mark.parametrize("estimator", [StraightThrough(), GumbelSoftmax(tau=0.5), Reinforce()], ids=repr)
    def test_take_it_as_one_hot_vectors(self, estimator) -> None:  # type: ignore[no-untyped-def]
        logits = LOGITS.clone().requires_grad_()
        loss = estimator(self.cost, MultiCategorical(logits, SIZES), seed=1)
        assert loss.shape == (3,)
        (found,) = torch.autograd.grad(loss.sum(), logits)
        assert bool(found.isfinite().all())
        # One class has no choice.
        assert not found[:, 6].any()
        assert bool((found[:, :6] != 0).any())

    def test_the_variable_knows_its_sizes(self) -> None:
        v = variables_of(MultiCategorical(LOGITS, SIZES))
        assert (v.batch_shape, v.cost_shape) == ((3, 4), (3,))
        assert v.remade(v.parameters).batch_shape == (3,)
        assert v.sizes(8) == [*SIZES, *SIZES]  # type: ignore[attr-defined]
