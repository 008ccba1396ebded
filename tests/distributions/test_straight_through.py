"""Hard samples with the gradient of their relaxation: both halves, and the discrete law around them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from scipy import stats
from torch import Tensor
from torch.distributions import Bernoulli, Independent, OneHotCategorical, kl_divergence

from drawgrad.distributions import (
    RelaxedBernoulli,
    RelaxedBernoulliStraightThrough,
    RelaxedOneHotCategorical,
    RelaxedOneHotCategoricalStraightThrough,
)
from tests.statistics import ALPHA, assert_frequencies, assert_mean

LOGITS = torch.tensor([[0.3, -1.2, 0.9], [2.0, 0.0, -2.0]], dtype=torch.float64)
CASES = {
    "categorical": (RelaxedOneHotCategoricalStraightThrough, RelaxedOneHotCategorical, OneHotCategorical),
    "binary": (RelaxedBernoulliStraightThrough, RelaxedBernoulli, Bernoulli),
}
each = pytest.mark.parametrize("case", CASES)


def is_hard(sample: Tensor, case: str) -> bool:
    """Whether a sample is one-hot, or made of zeros and ones."""
    binary = bool(((sample == 0) | (sample == 1)).all())
    return binary and (case == "binary" or bool((sample.sum(-1) == 1).all()))


def test_a_soft_sample_is_told_apart() -> None:
    for case, (_, relaxed, _) in CASES.items():
        assert not is_hard(relaxed(0.5, logits=LOGITS).rsample(), case)


@each
class TestHardness:
    def test_survives_everything_that_copies_a_distribution(self, case: str) -> None:
        q = CASES[case][0](0.5, logits=LOGITS)
        for other in (
            q,
            q.expand((4, *q.batch_shape)),
            q.expand((4, *q.batch_shape)).expand((5, 4, *q.batch_shape)),
            Independent(q, 1),
            Independent(q, 1).expand((4, *q.batch_shape[:-1])),
            Independent(q.expand((4, *q.batch_shape)), 1),
        ):
            for sample in (other.rsample((10,)), other.sample((10,))):
                assert is_hard(sample, case)
            assert other.rsample().requires_grad is False
        learned = CASES[case][0](0.5, logits=LOGITS.clone().requires_grad_())
        assert Independent(learned.expand((4, *q.batch_shape)), 1).rsample().requires_grad

    def test_the_gradient_is_that_of_the_relaxed_sample(self, case: str) -> None:
        hard_class, relaxed_class, _ = CASES[case]
        weight = torch.randn(5, 2, 3, dtype=torch.float64)
        gradients = []
        for cls in (hard_class, relaxed_class):
            logits = LOGITS.clone().requires_grad_()
            tau = torch.tensor(0.6, dtype=torch.float64, requires_grad=True)
            sample = cls(tau, logits=logits).rsample((5,), seed=2)
            gradients.append(torch.autograd.grad((weight * sample).sum(), (logits, tau)))
        torch.testing.assert_close(gradients[0], gradients[1])
        assert bool((gradients[1][0] != 0).all())

    def test_the_sample_marks_the_largest_relaxed_one(self, case: str) -> None:
        hard_class, relaxed_class, _ = CASES[case]
        hard, soft = (cls(0.6, logits=LOGITS).sample((50,), seed=2) for cls in (hard_class, relaxed_class))
        right = (soft == soft.amax(-1, keepdim=True)) if case == "categorical" else soft > 0.5
        assert torch.equal(hard, right.double())


@each
class TestLaw:
    def test_is_the_discrete_one(self, case: str) -> None:
        hard_class, _, discrete_class = CASES[case]
        assert issubclass(hard_class, discrete_class)
        q, right = hard_class(0.5, logits=LOGITS), discrete_class(logits=LOGITS)
        value = right.sample((20,))
        torch.testing.assert_close(q.log_prob(value), right.log_prob(value))
        torch.testing.assert_close(q.entropy(), right.entropy())
        torch.testing.assert_close(q.mean, right.mean)
        torch.testing.assert_close(q.variance, right.variance)
        torch.testing.assert_close(q.mode, right.mode, equal_nan=True)
        for expand in (True, False):
            torch.testing.assert_close(q.enumerate_support(expand), right.enumerate_support(expand))
        assert q.has_enumerate_support
        assert q.support is right.support

    def test_has_the_divergences_of_the_discrete_one(self, case: str) -> None:
        hard_class, _, discrete_class = CASES[case]
        other = LOGITS.flip(-1)
        right = kl_divergence(discrete_class(logits=LOGITS), discrete_class(logits=other))
        q, p = hard_class(0.5, logits=LOGITS), hard_class(2.0, logits=other)
        torch.testing.assert_close(kl_divergence(q, p), right)
        torch.testing.assert_close(kl_divergence(q, discrete_class(logits=other)), right)
        shape = (4, *q.batch_shape)
        torch.testing.assert_close(kl_divergence(q.expand(shape), p.expand(shape)), right.expand(4, *right.shape))

    def test_is_the_law_of_the_samples(self, case: str) -> None:
        q = CASES[case][0](0.5, logits=LOGITS)
        counts, p = q.sample((20_000,)).sum(0), q.probs
        if case == "binary":
            counts, p = torch.stack([counts, 20_000 - counts], -1), torch.stack([p, 1 - p], -1)
        assert_frequencies(counts, p, resolution=0.03)
        with pytest.raises(AssertionError, match="chi-square"):
            assert_frequencies(counts, p.flip(-1), resolution=0.03)

    def test_the_log_probability_passes_a_gradient_to_the_sample(self, case: str) -> None:
        q = CASES[case][0](0.5, logits=LOGITS)
        value = q.sample().requires_grad_()
        (gradient,) = torch.autograd.grad(q.log_prob(value).sum(), value)
        torch.testing.assert_close(gradient, q.logits)

    def test_a_divergence_estimated_from_samples_has_a_useful_gradient(self, case: str) -> None:
        """It points where the exact one does; without the gradient through the sample its mean would be zero."""
        hard_class, _, discrete_class = CASES[case]
        prior = hard_class(1.0, logits=LOGITS.flip(-1))

        def gradient(divergence: Callable[[Any], Tensor], logits: Tensor) -> Tensor:
            logits = logits.clone().requires_grad_()
            return torch.autograd.grad(divergence(hard_class(1.0, logits=logits)).sum(), logits)[0]

        def through_the_sample(q: Any) -> Tensor:
            z = q.rsample()
            return q.log_prob(z) - prior.log_prob(z)

        def past_the_sample(q: Any) -> Tensor:
            z = q.sample()
            return q.log_prob(z) - prior.log_prob(z)

        exact = gradient(lambda q: kl_divergence(q, discrete_class(logits=LOGITS.flip(-1))), LOGITS)

        def standard_errors_along_the_exact_one(divergence: Callable[[Any], Tensor]) -> float:
            along = (gradient(divergence, LOGITS.expand(4000, 2, 3)) * exact).flatten(1).sum(-1)
            return float(along.mean() / along.std() * len(along) ** 0.5)

        assert standard_errors_along_the_exact_one(through_the_sample) > stats.norm.isf(ALPHA)
        assert abs(standard_errors_along_the_exact_one(past_the_sample)) < stats.norm.isf(ALPHA / 2)
        assert_mean(gradient(past_the_sample, LOGITS.expand(4000, 2, 3)), 0.0, resolution=0.1)


class TestCertainOutcomes:
    @pytest.mark.parametrize("given", ["logits", "probs"])
    def test_forbidden_classes(self, given: str) -> None:
        logits = torch.tensor([0.5, -torch.inf, 1.0], dtype=torch.float64)
        parameter = (logits if given == "logits" else logits.softmax(-1)).requires_grad_()
        q = RelaxedOneHotCategoricalStraightThrough(0.5, **{given: parameter})
        z = q.rsample((1000,))
        assert not bool(z[:, 1].any())
        assert q.log_prob(torch.eye(3, dtype=torch.float64)).isinf().tolist() == [False, True, False]
        assert q.entropy().item() == pytest.approx(OneHotCategorical(logits=logits[[0, 2]]).entropy().item())
        (z.sum() + q.log_prob(z).sum() + q.entropy()).backward()
        assert parameter.grad is not None
        assert bool(parameter.grad.isfinite().all())

    @pytest.mark.parametrize("given", ["logits", "probs"])
    def test_certain_bits(self, given: str) -> None:
        p = torch.tensor([0.0, 0.5, 1.0], dtype=torch.float64)
        parameter = (p if given == "probs" else p.logit()).requires_grad_()
        q = RelaxedBernoulliStraightThrough(0.5, **{given: parameter})
        z = q.rsample((1000,))
        assert z.min(0).values.tolist() == [0, 0, 1]
        assert z.max(0).values.tolist() == [0, 1, 1]
        assert q.log_prob(torch.zeros(3).double()).isinf().tolist() == [False, False, True]
        assert q.log_prob(torch.ones(3).double()).isinf().tolist() == [True, False, False]
        torch.testing.assert_close(q.entropy(), torch.tensor([0.0, 2.0, 1.0]).log().clamp(min=0).double())
        (z.sum() + q.log_prob(z).sum() + q.entropy().sum()).backward()
        assert parameter.grad is not None
        assert bool(parameter.grad.isfinite().all())
